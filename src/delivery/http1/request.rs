//! A request to a listener, as it is written to a connection.

use std::io::{IoSlice, Write};

use http::{HeaderMap, Request};

use crate::delivery::Pieces;

/// Estimated length of a header line, for the capacity of the head, in bytes.
const HEADER_BYTES: usize = 64;

/// Maximum number of pieces in one write.
pub const MAX_SLICES: usize = 8;

/// The bytes of a POST: its head and the pieces of its body.
#[derive(Debug)]
pub struct ListenerRequest {
    head: Vec<u8>,
    body: Pieces,
}

impl ListenerRequest {
    /// Serializes the head. The method is POST, and the path is the target (origin form). The
    /// headers include `Host`, and none about the framing: that is a `Content-Length`.
    pub fn new(request: Request<Pieces>) -> Self {
        let (parts, body) = request.into_parts();
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let mut head = Vec::with_capacity(target.len() + (parts.headers.len() + 2) * HEADER_BYTES);
        head.extend_from_slice(b"POST ");
        head.extend_from_slice(target.as_bytes());
        head.extend_from_slice(b" HTTP/1.1\r\n");
        push_headers(&mut head, &parts.headers);
        // Writing to a vector cannot fail.
        let _ = write!(head, "content-length: {}\r\n\r\n", body.len());
        Self { head, body }
    }

    /// Its length in bytes, head and body.
    pub fn len(&self) -> usize {
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

fn push_headers(head: &mut Vec<u8>, headers: &HeaderMap) {
    for (name, value) in headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
}
