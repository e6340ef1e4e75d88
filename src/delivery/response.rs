//! The 2xx response of a listener: dropped, or kept to become the response to the sender.

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use super::CallError;

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
        headers: &HeaderMap,
        body: &mut Incoming,
        take: &mut (dyn FnMut(usize) -> bool + Send),
    ) -> Result<Self, CallError> {
        let announced = body.size_hint().lower();
        if announced > MAX_RESPONSE_BYTES as u64 {
            return Err(CallError::ResponseTooLarge);
        }
        let mut read = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(CallError::Http)?;
            let Some(data) = frame.data_ref() else { continue };
            if data.len() > MAX_RESPONSE_BYTES - read.len() {
                return Err(CallError::ResponseTooLarge);
            }
            if !take(data.len()) {
                return Err(CallError::NoMemory);
            }
            read.extend_from_slice(data);
        }
        let header = |name| headers.get(name).cloned();
        Ok(Self {
            content_type: header(CONTENT_TYPE),
            content_encoding: header(CONTENT_ENCODING),
            body: read.freeze(),
        })
    }
}
