//! Which HTTP a cleartext connection speaks, seen from its first bytes.
//!
//! Most connections show it with the first bytes that arrive, which are only looked at. A beginning that could
//! become either is taken from the socket, because bytes that stay there give no event to wait for, and is read
//! again by the HTTP connection.

use std::io;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// What every HTTP/2 client sends first (RFC 9113, section 3.4). No HTTP/1 request begins so.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// The first bytes of a connection, as far as they were taken from the socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefix {
    bytes: [u8; PREFACE.len()],
    start: usize,
    end: usize,
}

impl Prefix {
    /// What was not given out yet.
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// So many bytes were given out.
    pub fn advance(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }
}

/// Waits for the first bytes. The caller sets the deadline.
pub async fn protocol(stream: &mut TcpStream) -> io::Result<(Protocol, Prefix)> {
    let mut prefix = Prefix::default();
    let seen = stream.peek(&mut prefix.bytes).await?;
    if let Some(protocol) = decide(&prefix.bytes[..seen]) {
        return Ok((protocol, Prefix::default()));
    }
    loop {
        let count = stream.read(&mut prefix.bytes[prefix.end..]).await?;
        prefix.end += count;
        match decide(prefix.rest()) {
            Some(protocol) => return Ok((protocol, prefix)),
            // The peer has closed: HTTP/1 sees it after what came.
            None if count == 0 => return Ok((Protocol::Http1, prefix)),
            None => {}
        }
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
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn only_the_whole_preface_is_http_2_and_its_beginnings_are_undecided() {
        assert_eq!(decide(PREFACE), Some(Protocol::Http2));
        assert_eq!(decide(b"P"), None);
        assert_eq!(decide(b"PRI * HTTP/2.0\r\n"), None);
        assert_eq!(decide(b"POST / HTTP/1.1\r\n"), Some(Protocol::Http1));
        assert_eq!(decide(b""), Some(Protocol::Http1));
    }

    async fn decided(parts: &[&[u8]]) -> (Protocol, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client.set_nodelay(true).unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let sending = async {
            for part in parts {
                client.write_all(part).await.unwrap();
                tokio::task::yield_now().await;
            }
            drop(client);
        };
        let (decided, ()) = tokio::join!(protocol(&mut server), sending);
        let (protocol, prefix) = decided.unwrap();
        let mut all = prefix.rest().to_vec();
        server.read_to_end(&mut all).await.unwrap();
        (protocol, all)
    }

    #[tokio::test]
    async fn a_beginning_that_comes_in_pieces_is_decided_and_not_a_byte_of_it_is_lost() {
        let request: &[u8] = b"POST / HTTP/1.1\r\n\r\n";
        assert_eq!(
            decided(&[b"P", b"OST / HTTP/1.1\r\n\r\n"]).await,
            (Protocol::Http1, request.into())
        );
        let pieces: Vec<&[u8]> = PREFACE.chunks(1).collect();
        assert_eq!(decided(&pieces).await, (Protocol::Http2, PREFACE.into()));
        assert_eq!(decided(&[b"PRI"]).await, (Protocol::Http1, b"PRI".into()));
    }
}
