//! Where a response ends, and whether its connection can be reused (RFC 9112, sections 6.3 and 9.3).

use http::StatusCode;
use httparse::Header;

use super::reader::ResponseError;

/// How the end of a response body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// The body has this many bytes.
    Bytes(u64),
    /// The body is a list of chunks.
    Chunked,
    /// The body ends with the connection.
    UntilClose,
}

/// What the framing headers of a response say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    /// How the end of the body is found.
    pub length: BodyLength,
    /// Whether the listener keeps the connection open after the response.
    pub keeps_alive: bool,
}

impl Framing {
    /// Reads the framing headers of a final response to a POST. `is_http_11` is false for HTTP/1.0.
    ///
    /// # Errors
    /// [`ResponseError::Framing`]: its end is not certain.
    pub fn of(
        status: StatusCode,
        is_http_11: bool,
        headers: &[Header<'_>],
    ) -> Result<Self, ResponseError> {
        let mut length = None;
        let mut are_lengths_equal = true;
        let mut codings = None;
        let mut keeps_alive = is_http_11;
        for header in headers {
            if header.name.eq_ignore_ascii_case("content-length") {
                let value = content_length(header.value);
                are_lengths_equal &= value.is_some() && length.unwrap_or(value) == value;
                length = Some(value);
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                // Of several headers the last one names the last coding.
                codings = Some(header.value);
            } else if header.name.eq_ignore_ascii_case("connection") {
                keeps_alive = keep_alive(header.value, keeps_alive);
            }
        }
        let is_empty = status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        Ok(match (codings, length) {
            _ if is_empty => Self { length: BodyLength::Bytes(0), keeps_alive },
            // HTTP/1.0 has no codings: the framing is faulty (section 6.1).
            (Some(_), _) if !is_http_11 => return Err(ResponseError::Framing),
            // With both headers the connection is not trusted any further (section 6.3).
            (Some(codings), length) if ends_chunked(codings) => {
                let keeps_alive = keeps_alive && length.is_none();
                Self { length: BodyLength::Chunked, keeps_alive }
            }
            (Some(_), _) | (None, None) => until_close(),
            (None, Some(Some(bytes))) if are_lengths_equal => {
                Self { length: BodyLength::Bytes(bytes), keeps_alive }
            }
            (None, Some(_)) => return Err(ResponseError::Framing),
        })
    }
}

fn until_close() -> Framing {
    Framing { length: BodyLength::UntilClose, keeps_alive: false }
}

/// A length: decimal digits only, without a sign.
fn content_length(value: &[u8]) -> Option<u64> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    is_number.then(|| str::from_utf8(value).ok()?.parse().ok()).flatten()
}

/// The items of a list header, without the blanks around them.
fn items(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

fn ends_chunked(codings: &[u8]) -> bool {
    items(codings).next_back().is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"))
}

fn keep_alive(value: &[u8], default: bool) -> bool {
    let has = |option: &[u8]| items(value).any(|item| item.eq_ignore_ascii_case(option));
    !has(b"close") && (default || has(b"keep-alive"))
}
