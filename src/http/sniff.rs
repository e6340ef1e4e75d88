//! Which HTTP a cleartext connection speaks, seen from its first bytes without taking them.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;

/// What every HTTP/2 client sends first (RFC 9113, section 3.4). No HTTP/1 request begins so.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long to wait for more of a beginning that could become either.
const AGAIN: Duration = Duration::from_millis(5);

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Waits for the first bytes. The caller sets the deadline.
pub async fn protocol(stream: &TcpStream) -> io::Result<Protocol> {
    let mut buffer = [0; PREFACE.len()];
    loop {
        let seen = stream.peek(&mut buffer).await?;
        if let Some(protocol) = decide(&buffer[..seen]) {
            return Ok(protocol);
        }
        // Bytes that were only looked at leave the socket readable: there is no event to wait for.
        tokio::time::sleep(AGAIN).await;
    }
}

fn decide(seen: &[u8]) -> Option<Protocol> {
    if seen == PREFACE {
        return Some(Protocol::Http2);
    }
    // No bytes at all: the peer has closed, which HTTP/1 handles.
    (seen.is_empty() || !PREFACE.starts_with(seen)).then_some(Protocol::Http1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_preface_is_http_2_and_its_beginnings_are_undecided() {
        assert_eq!(decide(PREFACE), Some(Protocol::Http2));
        assert_eq!(decide(b"P"), None);
        assert_eq!(decide(b"PRI * HTTP/2.0\r\n"), None);
        assert_eq!(decide(b"POST / HTTP/1.1\r\n"), Some(Protocol::Http1));
        assert_eq!(decide(b""), Some(Protocol::Http1));
    }
}
