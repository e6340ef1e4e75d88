//! The first bytes of a connection: which HTTP they are does not depend on how they are cut, and no byte is lost.
#![no_main]

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncRead, ReadBuf};
use webhook_operator::http::opening::{Protocol, read};

const HEAD_BYTES: usize = 512;

/// Bytes that come so many with each read, and then nothing more.
struct Pieces<'a>(&'a [u8], usize);

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.0.is_empty() {
            return Poll::Pending;
        }
        let (piece, rest) = self.0.split_at(self.1.min(self.0.len()).min(buf.remaining()));
        buf.put_slice(piece);
        self.0 = rest;
        Poll::Ready(Ok(()))
    }
}

/// What is decided, and the bytes it was decided from; `None` while more bytes are awaited.
fn decided(bytes: &[u8], piece: usize) -> Option<(Protocol, Vec<u8>)> {
    let mut stream = Pieces(bytes, piece);
    let read = pin!(read(&mut stream, HEAD_BYTES));
    match read.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(read) => Some(read.expect("the stream does not break")),
        Poll::Pending => None,
    }
}

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, bytes) = input;
    let pieces = decided(bytes, usize::from(piece).max(1));
    let whole = decided(bytes, usize::MAX);
    assert_eq!(pieces.is_some(), whole.is_some());
    for (_, read) in pieces.iter().chain(&whole) {
        assert!(bytes.starts_with(read));
    }
    assert_eq!(pieces.map(|(protocol, _)| protocol), whole.map(|(protocol, _)| protocol));
});
