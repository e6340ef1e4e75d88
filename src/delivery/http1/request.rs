//! A request to a listener, as it is written to a connection.

use std::io::{IoSlice, Write};

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue};

use crate::delivery::Pieces;

/// Capacity of a head without the path, in bytes: that of the operator's own headers and some more.
const HEAD_BYTES: usize = 768;

/// Maximum number of pieces in one write.
pub const MAX_SLICES: usize = 8;

/// The head of a POST, without its end.
#[derive(Debug)]
pub struct RequestHead {
    bytes: Vec<u8>,
}

impl RequestHead {
    /// A head with this request target and no header.
    pub fn post(target: &PathAndQuery) -> Self {
        let target = target.as_str();
        let mut bytes = Vec::with_capacity(target.len() + HEAD_BYTES);
        bytes.extend_from_slice(b"POST ");
        bytes.extend_from_slice(target.as_bytes());
        bytes.extend_from_slice(b" HTTP/1.1\r\n");
        Self { bytes }
    }

    /// Adds a header. The value has to be valid as a [`HeaderValue`], and the header must not be one
    /// of the framing: [`Self::with_body`] adds `Content-Length`.
    pub fn push(&mut self, name: &HeaderName, value: &[u8]) {
        debug_assert!(HeaderValue::from_bytes(value).is_ok(), "{name}");
        self.bytes.extend_from_slice(name.as_str().as_bytes());
        self.bytes.extend_from_slice(b": ");
        self.bytes.extend_from_slice(value);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// Ends the head and adds the body.
    pub fn with_body(self, body: Pieces) -> ListenerRequest {
        let mut head = self.bytes;
        // Writing to a vector cannot fail.
        let _ = write!(head, "content-length: {}\r\n\r\n", body.len());
        ListenerRequest { head, body }
    }
}

/// The bytes of a POST: its head and the pieces of its body.
#[derive(Debug)]
pub struct ListenerRequest {
    head: Vec<u8>,
    body: Pieces,
}

impl ListenerRequest {
    /// The head, as it is sent.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The body.
    pub fn body(&self) -> &Pieces {
        &self.body
    }

    /// The number of bytes of head and body.
    pub fn byte_count(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// The pieces after the first `skip` bytes, in order: as many as there is room for.
    pub fn slices<'a>(&'a self, mut skip: usize, slices: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        let mut count = 0;
        for piece in std::iter::once(&self.head[..]).chain(self.body.iter()) {
            if skip >= piece.len() {
                skip -= piece.len();
            } else if count < MAX_SLICES {
                slices[count] = IoSlice::new(&piece[skip..]);
                (skip, count) = (0, count + 1);
            }
        }
        count
    }
}
