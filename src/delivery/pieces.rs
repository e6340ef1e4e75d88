//! A request body in pieces: small pieces are concatenated, large ones are sent without a copy.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::event::Event;

/// Minimum length in bytes of a piece that is cheaper to send as a frame of its own than to copy.
const LARGE: usize = 4 * 1024;

/// A body of known length.
#[derive(Clone, Debug, Default)]
pub struct Pieces {
    /// Completed frames, in order.
    closed: VecDeque<Bytes>,
    /// The small pieces since the last large one. Usually the whole body, sent as one frame.
    open: Vec<u8>,
    len: usize,
}

impl Pieces {
    /// An empty body, with capacity for `bytes` bytes of small pieces.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { closed: VecDeque::new(), open: Vec::with_capacity(bytes), len: 0 }
    }

    /// Adds a small piece.
    pub fn push_slice(&mut self, slice: &[u8]) {
        self.len += slice.len();
        self.open.extend_from_slice(slice);
    }

    /// Adds a piece of any size.
    pub fn push(&mut self, bytes: &Bytes) {
        if bytes.len() < LARGE {
            return self.push_slice(bytes);
        }
        self.len += bytes.len();
        if let Some(before) = self.take_open() {
            self.closed.push_back(before);
        }
        self.closed.push_back(bytes.clone());
    }

    /// Adds the JSON text of an event.
    pub fn push_event(&mut self, event: &Event) {
        self.push_slice(event.before);
        self.push(&event.body);
        self.push_slice(event.after);
    }

    /// Whether nothing was added yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The capacity in bytes that a piece needs among the small ones.
    pub fn capacity_for(bytes: &Bytes) -> usize {
        if bytes.len() < LARGE { bytes.len() } else { 0 }
    }

    fn take_open(&mut self) -> Option<Bytes> {
        let open = std::mem::take(&mut self.open);
        (!open.is_empty()).then(|| Bytes::from(open))
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.closed.pop_front().or_else(|| self.take_open());
        self.len -= piece.as_ref().map_or(0, Bytes::len);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.len == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn small_pieces_are_joined_and_large_ones_are_not_copied() {
        let large = Bytes::from(vec![b'x'; LARGE]);
        let mut body = Pieces::with_capacity(8);
        body.push_slice(b"ab");
        body.push(&Bytes::from_static(b"cd"));
        body.push(&large);
        body.push_slice(b"ef");
        assert_eq!(body.size_hint().exact(), Some(LARGE as u64 + 6));
        let mut frames = Vec::new();
        while let Some(Ok(frame)) = body.frame().await {
            frames.push(frame.into_data().unwrap());
        }
        assert_eq!(frames, [Bytes::from_static(b"abcd"), large.clone(), Bytes::from_static(b"ef")]);
        assert_eq!(frames[1].as_ptr(), large.as_ptr());
        assert!(body.is_end_stream());
    }
}
