//! A stream that replays bytes that were already read, and then continues.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream with prepended bytes.
#[derive(Debug)]
pub struct Replay<S> {
    before: Vec<u8>,
    read: usize,
    stream: S,
}

impl<S> Replay<S> {
    /// Prepends `before` to the stream.
    pub fn new(before: Vec<u8>, stream: S) -> Self {
        Self { before, read: 0, stream }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Replay<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.before.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let left = &self.before[self.read..];
        let taken = left.len().min(buf.remaining());
        buf.put_slice(&left[..taken]);
        self.read += taken;
        if self.read == self.before.len() {
            // Free the buffer: the connection may stay open for hours.
            self.before = Vec::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Replay<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn what_was_read_is_read_again_in_pieces_of_any_size_and_then_the_rest() {
        for size in 1..12 {
            let mut stream = Replay::new(b"POST /".to_vec(), &b" HTTP"[..]);
            let (mut all, mut piece) = (Vec::new(), vec![0; size]);
            loop {
                match stream.read(&mut piece).await.unwrap() {
                    0 => break,
                    read => all.extend_from_slice(&piece[..read]),
                }
            }
            assert_eq!(all, b"POST / HTTP", "{size}");
        }
    }
}
