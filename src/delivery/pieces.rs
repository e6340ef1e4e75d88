//! A request body in pieces: small pieces are concatenated, large ones are sent without a copy.

use bytes::Bytes;

use crate::event::Event;

/// Minimum length in bytes of a piece that is cheaper to write separately than to copy.
const LARGE: usize = 4 * 1024;

/// A body of known length.
#[derive(Clone, Debug, Default)]
pub struct Pieces {
    /// The pieces before the last large one, and itself.
    closed: Vec<Bytes>,
    /// The small pieces since the last large one. Usually the whole body.
    open: Vec<u8>,
    len: usize,
}

impl Pieces {
    /// An empty body, with capacity for `bytes` bytes of small pieces.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { closed: Vec::new(), open: Vec::with_capacity(bytes), len: 0 }
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
        if !self.open.is_empty() {
            self.closed.push(std::mem::take(&mut self.open).into());
        }
        self.closed.push(bytes.clone());
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

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The pieces in order, as they are written to a connection.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.closed.iter().map(|piece| &piece[..]).chain(Some(&self.open[..]))
    }

    /// The whole body, copied.
    pub fn to_bytes(&self) -> Bytes {
        self.iter().collect::<Vec<_>>().concat().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pieces_are_joined_and_large_ones_are_not_copied() {
        let large = Bytes::from(vec![b'x'; LARGE]);
        let mut body = Pieces::with_capacity(8);
        body.push_slice(b"ab");
        body.push(&Bytes::from_static(b"cd"));
        body.push(&large);
        body.push_slice(b"ef");
        assert_eq!(body.len(), LARGE + 6);
        let pieces: Vec<_> = body.iter().collect();
        assert_eq!(pieces, [b"abcd", &large[..], b"ef"]);
        assert_eq!(pieces[1].as_ptr(), large.as_ptr());
    }
}
