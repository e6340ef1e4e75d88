//! How long a request is: a request whose length two recipients may read differently is refused (RFC 9112,
//! sections 3.2, 6.1 and 6.3). Behind a proxy that reads it differently, a part of it would be another request.
//!
//! hyper decides by the rules of the RFC, but hides what it decided on: it drops `Content-Length` beside
//! `Transfer-Encoding`, and a repeated `Content-Length`. So the lengths are counted in the bytes before hyper reads
//! them. Nothing is parsed a second time: what hyper serves is what hyper read, this only refuses.

use http::header::{HOST, TRANSFER_ENCODING};
use http::{Request, Version};

use super::error::HttpError;

const CONTENT_LENGTH_NAME: &[u8] = b"content-length";
const TRANSFER_ENCODING_NAME: &[u8] = b"transfer-encoding";

/// The longer of the two names.
const NAME_BYTES: usize = TRANSFER_ENCODING_NAME.len();

/// Refuses a request of HTTP/1 by what its headers still show, and by what [`Lengths`] saw.
///
/// # Errors
/// 400, after which the connection ends.
pub fn check<B>(request: &Request<B>, has_one_length: bool) -> Result<(), HttpError> {
    let hosts = request.headers().get_all(HOST).iter().count();
    match request.version() {
        Version::HTTP_11 if hosts != 1 => return Err(invalid_host()),
        Version::HTTP_10 if hosts > 1 => return Err(invalid_host()),
        Version::HTTP_10 | Version::HTTP_11 => {}
        // HTTP/2 has frames, and `:authority`.
        _ => return Ok(()),
    }
    let mut encodings = request.headers().get_all(TRANSFER_ENCODING).iter();
    let is_chunked =
        encodings.next().is_none_or(|one| one.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if !has_one_length || !is_chunked || encodings.next().is_some() {
        let error = HttpError::bad_request("invalid_body", "The body length is ambiguous.");
        return Err(error.closing());
    }
    Ok(())
}

fn invalid_host() -> HttpError {
    HttpError::bad_request("invalid_body", "The request must have exactly one Host header.")
        .closing()
}

/// Follows the requests of an HTTP/1 connection in its bytes, however they are cut, and finds the first one that
/// has more than one length.
#[derive(Debug, Default)]
pub struct Lengths {
    part: Part,
    /// Heads that have ended.
    heads: u32,
    /// Of the head that is being read.
    head: Head,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, Default)]
enum Part {
    /// Empty lines before a request.
    #[default]
    BeforeHead,
    /// A line of which nothing is asked.
    OtherLine,
    /// The name of a header, up to here.
    Name { name: [u8; NAME_BYTES], len: usize },
    /// The value of `Content-Length`.
    Length,
    /// A body, or the data of a chunk.
    Data { left: u64, is_chunk: bool },
    /// The end of a chunk's line, of its data, or the size of the next one.
    ChunkSize { size: u64, is_over: bool, has_digits: bool },
    /// Trailers, and the empty line after them.
    Trailer { is_empty: bool },
    /// hyper ends the connection here, or it is no HTTP.
    Lost,
}

#[derive(Clone, Copy, Debug, Default)]
struct Head {
    lengths: u8,
    encodings: u8,
    content_length: Option<u64>,
}

impl Lengths {
    /// Reads on. Returns the number of the first request, from 0, that has several lengths, when its head ends here.
    pub fn read(&mut self, mut bytes: &[u8]) -> Option<u32> {
        while !bytes.is_empty() {
            let taken = match self.part {
                Part::Lost => return None,
                Part::OtherLine => self.skip_line(bytes),
                Part::Data { left, is_chunk } => self.skip_data(bytes, left, is_chunk),
                _ => {
                    if self.byte(bytes[0]) {
                        self.part = Part::Lost;
                        return Some(self.heads);
                    }
                    1
                }
            };
            bytes = &bytes[taken..];
        }
        None
    }

    fn skip_line(&mut self, bytes: &[u8]) -> usize {
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return bytes.len() };
        self.part = NAME;
        end + 1
    }

    fn skip_data(&mut self, bytes: &[u8], left: u64, is_chunk: bool) -> usize {
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        self.part = match left - taken as u64 {
            0 if is_chunk => SIZE,
            0 => Part::BeforeHead,
            left => Part::Data { left, is_chunk },
        };
        taken
    }

    /// One byte of what is not skipped; whether a head ends with it that has several lengths.
    fn byte(&mut self, byte: u8) -> bool {
        match &mut self.part {
            Part::BeforeHead if matches!(byte, b'\r' | b'\n') => {}
            Part::BeforeHead => {
                (self.head, self.part) = (Head::default(), Part::OtherLine);
            }
            Part::Name { len: 0, .. } if byte == b'\n' => return self.end_head(),
            Part::Name { len: 0, .. } if byte == b'\r' => {}
            Part::Name { name, len } if byte == b':' => {
                let name = &name[..*len];
                self.part = if name == CONTENT_LENGTH_NAME {
                    self.head.lengths = self.head.lengths.saturating_add(1);
                    self.head.content_length = Some(0);
                    Part::Length
                } else {
                    let is_encoding = name == TRANSFER_ENCODING_NAME;
                    self.head.encodings = self.head.encodings.saturating_add(is_encoding.into());
                    Part::OtherLine
                };
            }
            Part::Name { .. } if byte == b'\n' => self.part = NAME,
            Part::Name { name, len } => match name.get_mut(*len) {
                Some(place) if could_be(*len, byte) => {
                    *place = byte.to_ascii_lowercase();
                    *len += 1;
                }
                _ => self.part = Part::OtherLine,
            },
            Part::Length => self.length(byte),
            Part::ChunkSize { .. } => self.chunk_size(byte),
            Part::Trailer { is_empty } => match byte {
                b'\n' if *is_empty => self.part = Part::BeforeHead,
                b'\n' => *is_empty = true,
                b'\r' => {}
                _ => *is_empty = false,
            },
            Part::OtherLine | Part::Data { .. } | Part::Lost => {}
        }
        false
    }

    fn length(&mut self, byte: u8) {
        match byte {
            b'\n' => self.part = NAME,
            b'0'..=b'9' => {
                let digit = u64::from(byte - b'0');
                let longer = |length: u64| length.checked_mul(10)?.checked_add(digit);
                self.head.content_length = self.head.content_length.and_then(longer);
            }
            b' ' | b'\t' | b'\r' => {}
            // hyper refuses it.
            _ => self.head.content_length = None,
        }
    }

    fn end_head(&mut self) -> bool {
        let Head { lengths, encodings, content_length } = self.head;
        if lengths + encodings > 1 {
            return true;
        }
        self.heads = self.heads.saturating_add(1);
        self.part = match content_length {
            _ if encodings == 1 => SIZE,
            None if lengths == 1 => Part::Lost,
            None | Some(0) => Part::BeforeHead,
            Some(left) => Part::Data { left, is_chunk: false },
        };
        false
    }

    fn chunk_size(&mut self, byte: u8) {
        let Part::ChunkSize { size, is_over, has_digits } = &mut self.part else { return };
        let digit = char::from(byte).to_digit(16).map(u64::from);
        match (byte, digit) {
            (b'\n', _) if *has_digits => {
                self.part = match *size {
                    0 => Part::Trailer { is_empty: true },
                    left => Part::Data { left, is_chunk: true },
                };
            }
            // The end of the chunk before.
            (b'\r' | b'\n', _) => {}
            (_, Some(digit)) if !*is_over => match size.checked_mul(16) {
                Some(longer) => (*size, *has_digits) = (longer + digit, true),
                None => self.part = Part::Lost,
            },
            // An extension, of which nothing is asked.
            _ => *is_over = true,
        }
    }
}

/// The beginning of a line of the head.
const NAME: Part = Part::Name { name: [0; NAME_BYTES], len: 0 };

/// The beginning of a chunk.
const SIZE: Part = Part::ChunkSize { size: 0, is_over: false, has_digits: false };

/// Whether a byte stands at this place in one of the names.
fn could_be(at: usize, byte: u8) -> bool {
    let byte = byte.to_ascii_lowercase();
    CONTENT_LENGTH_NAME.get(at) == Some(&byte) || TRANSFER_ENCODING_NAME.get(at) == Some(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first request with several lengths, however the bytes are cut in two.
    fn several(bytes: &[u8]) -> Option<u32> {
        let whole = Lengths::default().read(bytes);
        for cut in 0..=bytes.len() {
            let mut lengths = Lengths::default();
            let read = lengths.read(&bytes[..cut]).or_else(|| lengths.read(&bytes[cut..]));
            assert_eq!(read, whole, "cut at {cut}: {}", bytes.escape_ascii());
        }
        whole
    }

    #[test]
    fn a_head_with_two_lengths_is_found_behind_any_body() {
        let length = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n\r\n\r\nTe: x\r\n";
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
            5\r\n\r\n\r\nx\r\n00B;x=\"5\"\r\nhello world\r\n0\r\nContent-Length: 5\r\n\r\n";
        let nothing = "GET / HTTP/1.1\nHost: a\n\n\r\n";
        for before in ["", length, chunked, nothing] {
            for (bad, is_bad) in [
                ("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", true),
                ("TRANSFER-ENCODING:chunked\r\nX: y\r\ncontent-length:2\r\n", true),
                ("Content-Length: 2\nContent-Length: 2\n", true),
                ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", true),
                ("Content-Length: 2\r\nContent-Length-X: 2\r\nX-Content-Length: 2\r\n", false),
                ("Content-Type: Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", false),
                ("Content-Length: 0\r\n", false),
            ] {
                let sent = format!("{before}POST / HTTP/1.1\r\n{bad}\r\n");
                let number = u32::from(!before.is_empty());
                assert_eq!(several(sent.as_bytes()), is_bad.then_some(number), "{sent}");
            }
        }
    }

    #[test]
    fn what_is_no_http_is_read_to_its_end_and_nothing_is_found() {
        let endless =
            [&b"POST / HTTP/1.1\r\nTransfer-Encoding: x\r\n\r\n"[..], &[b'F'; 99]].concat();
        for bytes in [
            &b"\x16\x03\x01\n\n\n"[..],
            b"\r\n\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\nx",
            b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\nx",
            &endless,
        ] {
            assert_eq!(several(bytes), None, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_request_has_one_host_and_no_coding_but_chunked() {
        let both = &[("host", "a"), ("host", "b")][..];
        for (version, headers, is_good) in [
            (Version::HTTP_11, &[("host", "a")][..], true),
            (Version::HTTP_11, &[], false),
            (Version::HTTP_11, both, false),
            (Version::HTTP_10, &[], true),
            (Version::HTTP_10, both, false),
            (Version::HTTP_2, &[], true),
            (Version::HTTP_11, &[("host", "a"), ("transfer-encoding", "Chunked")], true),
            (Version::HTTP_11, &[("host", "a"), ("transfer-encoding", "gzip, chunked")], false),
            (Version::HTTP_11, &[("host", "a"), ("transfer-encoding", "chunked, chunked")], false),
        ] {
            let mut request = Request::builder().version(version);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let request = request.body(()).unwrap();
            assert_eq!(check(&request, true).is_ok(), is_good, "{version:?} {headers:?}");
        }
        let request = Request::builder().header("host", "a").body(()).unwrap();
        let refused = check(&request, false).unwrap_err();
        assert_eq!((refused.status.as_u16(), refused.close), (400, true));
    }
}
