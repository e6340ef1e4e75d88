//! The 2xx response of a listener: dropped, or kept to become the response to the sender.

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::HeaderValue;

use super::CallError;
use super::http1::{Exchange, ResponseHead};

/// Maximum length of a response body that is kept, in bytes.
pub const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// What is done with the body of a 2xx response.
pub enum ResponseBody<'a> {
    /// It is dropped: the status alone decides.
    Drop,
    /// It is kept whole, up to [`MAX_RESPONSE_BYTES`]. The function reserves memory, and is called
    /// before bytes are kept.
    Keep(&'a mut (dyn FnMut(usize) -> bool + Send)),
}

/// A 2xx response.
#[derive(Debug)]
pub struct ListenerResponse {
    /// The status.
    pub status: StatusCode,
    /// What was kept of it; `None` with [`ResponseBody::Drop`].
    pub kept: Option<Box<KeptResponse>>,
}

/// The kept parts of a response.
#[derive(Debug)]
pub struct KeptResponse {
    /// The header `Content-Type`.
    pub content_type: Option<HeaderValue>,
    /// The header `Content-Encoding`, which a listener sets only if the sender's `Accept-Encoding` was
    /// forwarded to it.
    pub content_encoding: Option<HeaderValue>,
    /// The body.
    pub body: Bytes,
}

impl KeptResponse {
    /// Reads a whole body.
    ///
    /// # Errors
    /// The body is too long, or there is no memory for it, or the connection breaks.
    pub async fn read(
        head: ResponseHead,
        exchange: &mut Exchange,
        take: &mut (dyn FnMut(usize) -> bool + Send),
    ) -> Result<Self, CallError> {
        if head.content_length().is_some_and(|bytes| bytes > MAX_RESPONSE_BYTES as u64) {
            return Err(CallError::ResponseTooLarge);
        }
        let mut read = BytesMut::new();
        while let Some(data) = exchange.data().await? {
            if data.len() > MAX_RESPONSE_BYTES - read.len() {
                return Err(CallError::ResponseTooLarge);
            }
            if !take(data.len()) {
                return Err(CallError::NoMemory);
            }
            read.extend_from_slice(&data);
        }
        Ok(Self {
            content_type: head.content_type,
            content_encoding: head.content_encoding,
            body: read.freeze(),
        })
    }
}
