//! The first bytes of a connection, up to the end of its first head, and which HTTP they are.
//!
//! hyper's connection has buffers of 16 KiB from its first moment. Here a connection that stays silent costs
//! no buffer, and one that trickles its head costs what it has sent. hyper is given the bytes again
//! ([`super::replay::Replay`]) once there is a request to read. Peeking instead of reading would leave the
//! socket readable, so that more bytes could only be polled for.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::ready;

use tokio::io::{AsyncRead, ReadBuf};

/// What every HTTP/2 client sends first (RFC 9113, section 3.4). No HTTP/1 request begins so.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How much is read at once. Most requests fit, body included.
const READ_BYTES: usize = 2048;

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Reads until the protocol is known and, in HTTP/1, the first head is complete or of no use; at most
/// `head_bytes` and one read. Returns what was read. The caller sets the deadline.
///
/// # Errors
/// When the connection breaks, or ends before its first byte.
pub async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    head_bytes: usize,
) -> io::Result<(Protocol, Vec<u8>)> {
    let mut opening = Opening { bytes: Vec::new(), searched: 0 };
    loop {
        let before = opening.bytes.len();
        read_some(stream, &mut opening.bytes).await?;
        if opening.bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let has_ended = opening.bytes.len() == before;
        if let Some(protocol) = opening.protocol(head_bytes) {
            return Ok((protocol, opening.bytes));
        }
        if has_ended {
            return Ok((Protocol::Http1, opening.bytes));
        }
    }
}

/// Appends what one read brings; nothing at the end of the stream. The buffer of the read is on the stack, not
/// in the task: a task that waits does not hold it.
async fn read_some(stream: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> io::Result<()> {
    poll_fn(|cx| {
        let mut space = [0; READ_BYTES];
        let mut read = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut read))?;
        bytes.extend_from_slice(read.filled());
        Ok(()).into()
    })
    .await
}

struct Opening {
    bytes: Vec<u8>,
    /// Up to here there is no end of a head. It is not searched again: a head that comes byte by byte must not
    /// cost the square of its length.
    searched: usize,
}

impl Opening {
    /// The protocol, once there is something for it to read.
    fn protocol(&mut self, head_bytes: usize) -> Option<Protocol> {
        if self.bytes.starts_with(PREFACE) {
            return Some(Protocol::Http2);
        }
        if PREFACE.starts_with(&self.bytes) {
            return None;
        }
        let is_readable = self.bytes.len() > head_bytes || self.is_malformed() || self.has_head();
        is_readable.then_some(Protocol::Http1)
    }

    /// Empty lines before a request are skipped (RFC 9112, section 2.2).
    fn begin(&self) -> usize {
        let is_line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        self.bytes.iter().position(|byte| !is_line_end(byte)).unwrap_or(self.bytes.len())
    }

    /// Whether it begins with what no method begins with, such as TLS: it is answered at once.
    fn is_malformed(&self) -> bool {
        let first = self.bytes.get(self.begin());
        first.is_some_and(|byte| !byte.is_ascii_graphic())
    }

    /// Whether there is an empty line. A line may end without a CR (RFC 9112, section 2.2).
    fn has_head(&mut self) -> bool {
        let from = self.begin().max(self.searched.saturating_sub(2));
        self.searched = self.bytes.len();
        let rest = &self.bytes[from..];
        let ends = rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        ends.map(|(at, _)| &rest[at + 1..])
            .any(|next| next.starts_with(b"\n") || next.starts_with(b"\r\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Poll};

    const HEAD_BYTES: usize = 64;

    /// Bytes that come one with each read, and then nothing more.
    struct Trickle(&'static [u8]);

    impl AsyncRead for Trickle {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let Some((first, rest)) = self.0.split_first() else { return Poll::Pending };
            buf.put_slice(&[*first]);
            self.0 = rest;
            Poll::Ready(Ok(()))
        }
    }

    /// What is decided when the bytes come one by one, and after how many.
    fn trickled(bytes: &'static [u8]) -> Option<(Protocol, usize)> {
        let mut stream = Trickle(bytes);
        let read = read(&mut stream, HEAD_BYTES);
        match std::pin::pin!(read).poll(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(read) => read.ok().map(|(protocol, bytes)| (protocol, bytes.len())),
            Poll::Pending => None,
        }
    }

    #[test]
    fn only_the_whole_preface_is_http_2_and_a_head_is_awaited_to_its_end() {
        use Protocol::{Http1, Http2};
        for (bytes, expected) in [
            (PREFACE, Some((Http2, PREFACE.len()))),
            (b"PRI * HTTP/2.0\r\n\r\nS", None),
            (b"P", None),
            (b"PRI * HTTP/2.0\r\n", None),
            (b"POST / HTTP/1.1\r\n", None),
            (b"POST / HTTP/1.1\r\nHost: a\r\n\r", None),
            (b"POST / HTTP/1.1\r\nHost: a\r\n\r\n{}", Some((Http1, 28))),
            (b"POST / HTTP/1.1\nHost: a\n\n{}", Some((Http1, 25))),
            (b"\r\n\r\n", None),
            (b"\r\n\r\nPOST / HTTP/1.1\r\n\r\n", Some((Http1, 23))),
            (b"\x16\x03\x01", Some((Http1, 1))),
            (b"\r\n\0", Some((Http1, 3))),
            (&[b'x'; 100], Some((Http1, HEAD_BYTES + 1))),
            (&[b'\n'; 100], Some((Http1, HEAD_BYTES + 1))),
        ] {
            assert_eq!(trickled(bytes), expected, "{}", bytes.escape_ascii());
        }
    }

    #[tokio::test]
    async fn a_connection_that_ends_has_what_it_sent_or_nothing() {
        assert!(read(&mut &b""[..], HEAD_BYTES).await.is_err());
        let (protocol, bytes) = read(&mut &b"PRI"[..], HEAD_BYTES).await.unwrap();
        assert_eq!((protocol, &bytes[..]), (Protocol::Http1, &b"PRI"[..]));
    }
}
