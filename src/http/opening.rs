//! Reads the first bytes of a connection up to the end of its first head, and detects the HTTP
//! version.
//!
//! hyper allocates buffers of 16 KiB as soon as it has a connection. With this step a silent
//! connection costs no buffer, and one that sends its head slowly costs only the bytes that it has
//! sent. hyper gets the bytes replayed ([`super::replay::Replay`]) once a head is complete. Peeking
//! instead of reading would leave the socket readable, so waiting for more bytes would mean
//! polling.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::ready;

use tokio::io::{AsyncRead, ReadBuf};

/// The connection preface of HTTP/2 clients (RFC 9113, section 3.4). No HTTP/1 request starts with
/// it.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The size of one read. Most requests fit into it, including the body.
const READ_BYTES: usize = 2048;

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Reads until the protocol is known and, for HTTP/1, the first head is complete or malformed; at
/// most `head_bytes` plus one read. Returns the bytes. The caller sets the deadline.
///
/// # Errors
/// If the connection breaks, or ends before its first byte.
pub async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    head_bytes: usize,
) -> io::Result<(Protocol, Vec<u8>)> {
    let mut opening = Opening { bytes: Vec::new(), searched: 0 };
    loop {
        let before = opening.bytes.len();
        read_once(stream, &mut opening.bytes).await?;
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

/// Appends the result of one read; nothing at the end of the stream. The read buffer is on the
/// stack, so that a waiting task does not hold it.
async fn read_once(stream: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> io::Result<()> {
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
    /// The bytes before this position contain no end of a head. They are not searched again, which
    /// would make a head that arrives byte by byte cost quadratic time.
    searched: usize,
}

impl Opening {
    /// The protocol, once there are enough bytes to parse.
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

    /// The start of the request line: empty lines before it are skipped (RFC 9112, section 2.2).
    fn begin(&self) -> usize {
        let is_line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        self.bytes.iter().position(|byte| !is_line_end(byte)).unwrap_or(self.bytes.len())
    }

    /// Whether the first byte cannot start a method, as in TLS: hyper then rejects it immediately.
    fn is_malformed(&self) -> bool {
        let first = self.bytes.get(self.begin());
        first.is_some_and(|byte| !byte.is_ascii_graphic())
    }

    /// Whether the head is complete. A line may end without a CR (RFC 9112, section 2.2).
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

    /// A stream that yields one byte per read, and then ends.
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

    /// The protocol that is detected when the bytes arrive one by one, and the number of bytes
    /// read.
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
