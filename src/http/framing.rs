//! Request length: rejects a request whose length two recipients may read differently (RFC 9112,
//! sections 3.2, 6.1 and 6.3). Behind a proxy that disagrees, a part of it would be smuggled as
//! another request.
//!
//! hyper follows the rules of the RFC, but hides its input: it drops `Content-Length` next to
//! `Transfer-Encoding`, and a repeated `Content-Length`. The lengths are therefore counted in the
//! bytes before hyper reads them. Nothing is interpreted twice: hyper's parse is served, this code
//! only rejects.

use http::header::{HOST, TRANSFER_ENCODING};
use http::{Request, Version};

use super::error::HttpError;

const CONTENT_LENGTH_NAME: &[u8] = b"content-length";
const TRANSFER_ENCODING_NAME: &[u8] = b"transfer-encoding";

/// The length of the longer name.
const NAME_BYTES: usize = TRANSFER_ENCODING_NAME.len();

/// Rejects an HTTP/1 request by the headers that hyper kept, and by the result of [`Lengths`].
///
/// # Errors
/// 400; the connection is closed afterwards.
pub fn check<B>(request: &Request<B>, has_one_length: bool) -> Result<(), HttpError> {
    let hosts = request.headers().get_all(HOST).iter().count();
    match request.version() {
        Version::HTTP_11 if hosts != 1 => return Err(invalid_host()),
        Version::HTTP_10 if hosts > 1 => return Err(invalid_host()),
        Version::HTTP_10 | Version::HTTP_11 => {}
        // HTTP/2 has frames and `:authority` instead.
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

/// Tracks the requests of an HTTP/1 connection across reads, and finds the first one with more than
/// one length.
#[derive(Debug, Default)]
pub struct Lengths {
    state: FramingState,
    /// The number of complete heads.
    heads: u32,
    /// The head that is being read.
    head: Head,
}

/// The syntax element of the next byte.
#[derive(Clone, Copy, Debug, Default)]
enum FramingState {
    /// Empty lines before a request.
    #[default]
    BeforeHead,
    /// An irrelevant line.
    OtherLine,
    /// A header name, as far as it was read.
    Name { name: [u8; NAME_BYTES], len: usize },
    /// The value of `Content-Length`.
    Length,
    /// A body, or the data of a chunk.
    Data { left: u64, is_chunk: bool },
    /// The end of a chunk's data, or the size line of the next chunk.
    ChunkSize { size: u64, is_over: bool, has_digits: bool },
    /// Trailers and the empty line after them.
    Trailer { is_empty: bool },
    /// Not HTTP, or hyper ends the connection here.
    Lost,
}

#[derive(Clone, Copy, Debug, Default)]
struct Head {
    lengths: u8,
    encodings: u8,
    content_length: Option<u64>,
}

impl Lengths {
    /// Reads further bytes. Returns the number, from 0, of the first request with several lengths
    /// when its head ends in these bytes.
    pub fn read(&mut self, mut bytes: &[u8]) -> Option<u32> {
        while !bytes.is_empty() {
            let taken = match self.state {
                FramingState::Lost => return None,
                FramingState::OtherLine => self.skip_line(bytes),
                FramingState::Data { left, is_chunk } => self.skip_data(bytes, left, is_chunk),
                _ => {
                    if self.byte(bytes[0]) {
                        self.state = FramingState::Lost;
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
        self.state = NAME;
        end + 1
    }

    fn skip_data(&mut self, bytes: &[u8], left: u64, is_chunk: bool) -> usize {
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        self.state = match left - taken as u64 {
            0 if is_chunk => SIZE,
            0 => FramingState::BeforeHead,
            left => FramingState::Data { left, is_chunk },
        };
        taken
    }

    /// Processes one byte. Returns whether it ends a head with several lengths.
    fn byte(&mut self, byte: u8) -> bool {
        match &mut self.state {
            FramingState::BeforeHead if matches!(byte, b'\r' | b'\n') => {}
            FramingState::BeforeHead => {
                (self.head, self.state) = (Head::default(), FramingState::OtherLine);
            }
            FramingState::Name { len: 0, .. } if byte == b'\n' => return self.end_head(),
            FramingState::Name { len: 0, .. } if byte == b'\r' => {}
            FramingState::Name { name, len } if byte == b':' => {
                let name = &name[..*len];
                self.state = if name == CONTENT_LENGTH_NAME {
                    self.head.lengths = self.head.lengths.saturating_add(1);
                    self.head.content_length = Some(0);
                    FramingState::Length
                } else {
                    let is_encoding = name == TRANSFER_ENCODING_NAME;
                    self.head.encodings = self.head.encodings.saturating_add(is_encoding.into());
                    FramingState::OtherLine
                };
            }
            FramingState::Name { .. } if byte == b'\n' => self.state = NAME,
            FramingState::Name { name, len } => match name.get_mut(*len) {
                Some(place) if matches_name(*len, byte) => {
                    *place = byte.to_ascii_lowercase();
                    *len += 1;
                }
                _ => self.state = FramingState::OtherLine,
            },
            FramingState::Length => self.length(byte),
            FramingState::ChunkSize { .. } => self.chunk_size(byte),
            FramingState::Trailer { is_empty } => match byte {
                b'\n' if *is_empty => self.state = FramingState::BeforeHead,
                b'\n' => *is_empty = true,
                b'\r' => {}
                _ => *is_empty = false,
            },
            FramingState::OtherLine | FramingState::Data { .. } | FramingState::Lost => {}
        }
        false
    }

    fn length(&mut self, byte: u8) {
        match byte {
            b'\n' => self.state = NAME,
            b'0'..=b'9' => {
                let digit = u64::from(byte - b'0');
                let longer = |length: u64| length.checked_mul(10)?.checked_add(digit);
                self.head.content_length = self.head.content_length.and_then(longer);
            }
            b' ' | b'\t' | b'\r' => {}
            // hyper rejects it.
            _ => self.head.content_length = None,
        }
    }

    fn end_head(&mut self) -> bool {
        let Head { lengths, encodings, content_length } = self.head;
        if lengths + encodings > 1 {
            return true;
        }
        self.heads = self.heads.saturating_add(1);
        self.state = match content_length {
            _ if encodings == 1 => SIZE,
            None if lengths == 1 => FramingState::Lost,
            None | Some(0) => FramingState::BeforeHead,
            Some(left) => FramingState::Data { left, is_chunk: false },
        };
        false
    }

    fn chunk_size(&mut self, byte: u8) {
        let FramingState::ChunkSize { size, is_over, has_digits } = &mut self.state else { return };
        let digit = char::from(byte).to_digit(16).map(u64::from);
        match (byte, digit) {
            (b'\n', _) if *has_digits => {
                self.state = match *size {
                    0 => FramingState::Trailer { is_empty: true },
                    left => FramingState::Data { left, is_chunk: true },
                };
            }
            // The end of the previous chunk.
            (b'\r' | b'\n', _) => {}
            (_, Some(digit)) if !*is_over => match size.checked_mul(16) {
                Some(longer) => (*size, *has_digits) = (longer + digit, true),
                None => self.state = FramingState::Lost,
            },
            // A chunk extension, which is ignored.
            _ => *is_over = true,
        }
    }
}

/// The start of a header line.
const NAME: FramingState = FramingState::Name { name: [0; NAME_BYTES], len: 0 };

/// The start of a chunk.
const SIZE: FramingState = FramingState::ChunkSize { size: 0, is_over: false, has_digits: false };

/// Whether one of the names has this byte at this position.
fn matches_name(at: usize, byte: u8) -> bool {
    let byte = byte.to_ascii_lowercase();
    CONTENT_LENGTH_NAME.get(at) == Some(&byte) || TRANSFER_ENCODING_NAME.get(at) == Some(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first request with several lengths, for each way of splitting the bytes in two.
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
