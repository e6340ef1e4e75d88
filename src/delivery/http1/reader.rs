//! Converts the bytes of a connection into the parts of one response. Pure: it never waits.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use http::header::HeaderValue;
use http::{HeaderName, StatusCode, header};
use httparse::{Header, Status};

use super::framing::{BodyLength, Framing};

/// Maximum size of a response head, and of the trailers of a response, in bytes.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// Maximum number of headers of a response, and of its trailers.
const MAX_HEADERS: usize = 100;

/// Maximum number of informational responses (1xx) before the final one.
const MAX_INFORMATIONAL: u8 = 16;

/// Maximum length of the line of a chunk's size with its extensions, in bytes.
const MAX_CHUNK_LINE: usize = 1024;

/// Error of a response. Its text contains nothing of the response.
#[derive(Debug, thiserror::Error)]
pub enum ResponseError {
    /// The status line or a header is malformed.
    #[error("invalid HTTP response: {0}")]
    Head(#[from] httparse::Error),
    /// The head, the trailers, or the informational responses before it, exceed their limits.
    #[error("the head of the response is too large")]
    HeadTooLarge,
    /// Lengths that differ, one that is no number, or codings in HTTP/1.0, which has none.
    #[error("invalid Content-Length or Transfer-Encoding")]
    Framing,
    /// A malformed chunk.
    #[error("invalid chunk")]
    Chunk,
    /// The connection was closed too early.
    #[error("the connection was closed before the response was complete")]
    Incomplete,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
}

/// The head of a final response.
#[derive(Debug)]
pub struct ResponseHead {
    /// The status.
    pub status: StatusCode,
    /// The header `Retry-After`.
    pub retry_after: Option<HeaderValue>,
    /// The header `Content-Type`.
    pub content_type: Option<HeaderValue>,
    /// The header `Content-Encoding`.
    pub content_encoding: Option<HeaderValue>,
    /// Where the response ends.
    framing: Framing,
}

impl ResponseHead {
    /// The announced length of the body in bytes; `None` if the response does not say it.
    pub fn content_length(&self) -> Option<u64> {
        match self.framing.length {
            BodyLength::Bytes(bytes) => Some(bytes),
            BodyLength::Chunked | BodyLength::UntilClose => None,
        }
    }
}

/// A part of a response.
#[derive(Debug)]
pub enum ResponsePart {
    /// The head: the first part.
    Head(ResponseHead),
    /// Bytes of the body, without their coding.
    Data(Bytes),
    /// The end of the response: nothing follows.
    End,
}

/// What is read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExpectedPart {
    Head,
    /// This many bytes of a body with a length.
    Bytes(u64),
    ChunkSize,
    /// This many bytes of a chunk.
    ChunkData(u64),
    /// The line break after a chunk.
    ChunkEnd,
    Trailers,
    Close,
    /// Nothing: the response is complete.
    Nothing,
}

/// Reads one response. The caller appends bytes to [`Self::buffer`] and asks for the next part.
#[derive(Debug)]
pub struct ResponseReader {
    /// The bytes that were received and not used yet.
    pub buffer: BytesMut,
    expected: ExpectedPart,
    informational: u8,
    keeps_alive: bool,
}

impl ResponseReader {
    /// A reader at the start of a response.
    pub fn new(buffer: BytesMut) -> Self {
        Self { buffer, expected: ExpectedPart::Head, informational: 0, keeps_alive: false }
    }

    /// The next part that is complete; `None` if more bytes are needed.
    ///
    /// # Errors
    /// See [`ResponseError`]. After an error the connection has to be closed.
    pub fn next_part(&mut self) -> Result<Option<ResponsePart>, ResponseError> {
        loop {
            let has_advanced = match self.expected {
                ExpectedPart::Head => return self.head(),
                ExpectedPart::Bytes(0) | ExpectedPart::Nothing => return Ok(Some(self.end())),
                ExpectedPart::Bytes(left) => return Ok(self.data(left, ExpectedPart::Bytes)),
                ExpectedPart::Close => return Ok(self.data(u64::MAX, |_| ExpectedPart::Close)),
                ExpectedPart::ChunkData(0) => {
                    self.expected = ExpectedPart::ChunkEnd;
                    true
                }
                ExpectedPart::ChunkData(left) => {
                    return Ok(self.data(left, ExpectedPart::ChunkData));
                }
                ExpectedPart::ChunkSize => self.chunk_size()?,
                ExpectedPart::ChunkEnd => self.chunk_end()?,
                ExpectedPart::Trailers => self.trailers()?,
            };
            if !has_advanced {
                return Ok(None);
            }
        }
    }

    /// Says that the listener sends nothing more.
    ///
    /// # Errors
    /// The response is not complete.
    pub fn close(&mut self) -> Result<(), ResponseError> {
        match self.expected {
            ExpectedPart::Close | ExpectedPart::Bytes(0) | ExpectedPart::Nothing => {
                self.expected = ExpectedPart::Nothing;
                self.keeps_alive = false;
                Ok(())
            }
            _ => Err(ResponseError::Incomplete),
        }
    }

    /// Whether the response is complete and its connection can be used for another request. Bytes
    /// after the end of the response belong to no request: such a connection is not used again.
    pub fn is_reusable(&self) -> bool {
        let is_complete = matches!(self.expected, ExpectedPart::Nothing | ExpectedPart::Bytes(0));
        is_complete && self.keeps_alive && self.buffer.is_empty()
    }

    fn head(&mut self) -> Result<Option<ResponsePart>, ResponseError> {
        loop {
            // Most calls come before the first byte.
            if self.buffer.is_empty() {
                return Ok(None);
            }
            let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut response = httparse::Response::new(&mut headers);
            let Status::Complete(length) = response.parse(&self.buffer)? else {
                return self.partial();
            };
            if length > MAX_HEAD_BYTES {
                return Err(ResponseError::HeadTooLarge);
            }
            let head = parsed(&response)?;
            self.buffer.advance(length);
            let is_final =
                !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS;
            if is_final {
                self.begin(&head);
                return Ok(Some(ResponsePart::Head(head)));
            }
            self.informational += 1;
            if self.informational > MAX_INFORMATIONAL {
                return Err(ResponseError::HeadTooLarge);
            }
        }
    }

    /// Waits for the rest of a head or of trailers.
    fn partial(&self) -> Result<Option<ResponsePart>, ResponseError> {
        if self.buffer.len() > MAX_HEAD_BYTES { Err(ResponseError::HeadTooLarge) } else { Ok(None) }
    }

    fn begin(&mut self, head: &ResponseHead) {
        // After 101 the bytes are those of another protocol.
        self.keeps_alive =
            head.framing.keeps_alive && head.status != StatusCode::SWITCHING_PROTOCOLS;
        self.expected = match head.framing.length {
            BodyLength::Bytes(bytes) => ExpectedPart::Bytes(bytes),
            BodyLength::Chunked => ExpectedPart::ChunkSize,
            BodyLength::UntilClose => ExpectedPart::Close,
        };
    }

    /// Takes at most `left` bytes of the body.
    fn data(&mut self, left: u64, next: impl Fn(u64) -> ExpectedPart) -> Option<ResponsePart> {
        if self.buffer.is_empty() {
            return None;
        }
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
        self.expected = next(left - length as u64);
        Some(ResponsePart::Data(self.buffer.split_to(length).freeze()))
    }

    fn end(&mut self) -> ResponsePart {
        self.expected = ExpectedPart::Nothing;
        ResponsePart::End
    }

    /// Reads the line before a chunk. Returns false if more bytes are needed.
    fn chunk_size(&mut self) -> Result<bool, ResponseError> {
        let parsed = httparse::parse_chunk_size(&self.buffer);
        let Status::Complete((length, size)) = parsed.map_err(|_| ResponseError::Chunk)? else {
            let is_too_long = self.buffer.len() > MAX_CHUNK_LINE;
            return if is_too_long { Err(ResponseError::Chunk) } else { Ok(false) };
        };
        if length > MAX_CHUNK_LINE {
            return Err(ResponseError::Chunk);
        }
        self.buffer.advance(length);
        self.expected =
            if size == 0 { ExpectedPart::Trailers } else { ExpectedPart::ChunkData(size) };
        Ok(true)
    }

    fn chunk_end(&mut self) -> Result<bool, ResponseError> {
        let received = self.buffer.len().min(2);
        if !b"\r\n".starts_with(&self.buffer[..received]) {
            return Err(ResponseError::Chunk);
        }
        if received < 2 {
            return Ok(false);
        }
        self.buffer.advance(2);
        self.expected = ExpectedPart::ChunkSize;
        Ok(true)
    }

    fn trailers(&mut self) -> Result<bool, ResponseError> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let Status::Complete((length, _)) = httparse::parse_headers(&self.buffer, &mut headers)?
        else {
            return self.partial().map(|_| false);
        };
        if length > MAX_HEAD_BYTES {
            return Err(ResponseError::HeadTooLarge);
        }
        self.buffer.advance(length);
        self.expected = ExpectedPart::Nothing;
        Ok(true)
    }
}

fn parsed(response: &httparse::Response<'_, '_>) -> Result<ResponseHead, ResponseError> {
    // Cannot fail: a complete head has a status of three digits. 000 to 099 are no status.
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(httparse::Error::Status)?;
    let headers: &[Header<'_>] = response.headers;
    let value = |name: HeaderName| {
        let header = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name.as_str()));
        header.and_then(|header| HeaderValue::from_bytes(header.value).ok())
    };
    Ok(ResponseHead {
        status,
        retry_after: value(header::RETRY_AFTER),
        content_type: value(header::CONTENT_TYPE),
        content_encoding: value(header::CONTENT_ENCODING),
        framing: Framing::of(status, response.version == Some(1), headers)?,
    })
}
