//! Calls of listeners that speak HTTP in unusual ways: the status is that of the response, as soon as it is known, and
//! connections are reused where the response allows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use webhook_operator::delivery::http1::RequestHead;
use webhook_operator::delivery::{Call, CallError, Caller, Connector, Pieces, ResponseBody};
use webhook_operator::resources::Scheme;
use webhook_operator::routes::{NamedBy, Origin, Upstream};

use crate::support::pipeline::loopback;

const LIMIT: Duration = Duration::from_secs(20);

/// A listener that serves each connection with one function.
struct Scripted {
    upstream: Upstream,
    connections: Arc<AtomicUsize>,
    caller: Caller,
}

impl Scripted {
    async fn start<F, S>(serve: S) -> Self
    where
        F: Future<Output = std::io::Result<()>> + Send + 'static,
        S: Fn(TcpStream) -> F + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = connections.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, SeqCst);
                tokio::spawn(serve(stream));
            }
        });
        let origin = Origin {
            scheme: Scheme::Http,
            host: webhook_operator::routes::Host::Address(address.ip()),
            port: address.port(),
            server_name: "listener".into(),
            named_by: NamedBy::Service,
        };
        let caller = Caller::new(Connector::new(loopback(), None).unwrap());
        Self { upstream: Upstream::Origin(Arc::new(origin)), connections, caller }
    }

    /// Calls with a body of this length. Returns the status, or the error.
    async fn call(&self, length: usize) -> Result<u16, CallError> {
        let mut body = Pieces::default();
        body.push(&vec![b'x'; length].into());
        let mut head = RequestHead::post(&"/".parse().unwrap());
        head.push(&http::header::HOST, b"listener");
        let request = head.with_body(body);
        let called = self.caller.call(&self.upstream, request, LIMIT, ResponseBody::Drop).await;
        match called {
            Ok(response) => Ok(response.status.as_u16()),
            Err(CallError::Refused(refusal)) => Ok(refusal.status.as_u16()),
            Err(error) => Err(error),
        }
    }

    fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }
}

/// Reads one request. Returns false if the connection was closed.
async fn read_request(stream: &mut TcpStream) -> std::io::Result<bool> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return Ok(false),
        }
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await?;
    Ok(true)
}

/// Answers each request of a connection with the same bytes.
async fn always(response: &'static str) -> Scripted {
    Scripted::start(move |mut stream| async move {
        while read_request(&mut stream).await? {
            stream.write_all(response.as_bytes()).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn statuses_and_reuse_of_connections() {
    for (response, status, connections) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, 1),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, 1),
        ("HTTP/1.1 503 x\r\ncontent-length: 2\r\n\r\nno", 503, 1),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nsum: 1\r\n\r\n",
            200,
            1,
        ),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, 1),
        ("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n", 200, 1),
        ("HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", 200, 3),
        ("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", 200, 3),
        // More bytes than the response has.
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 200, 3),
        // A body without an end.
        ("HTTP/1.1 200 OK\r\n\r\nbody", 200, 3),
        ("HTTP/1.1 307 x\r\nlocation: http://other/\r\ncontent-length: 0\r\n\r\n", 307, 1),
    ] {
        let listener = always(response).await;
        for _ in 0..3 {
            assert_eq!(listener.call(10).await.unwrap(), status, "{response:?}");
        }
        assert_eq!(listener.connections(), connections, "{response:?}");
    }
}

#[tokio::test]
async fn what_is_no_response_is_an_error() {
    for response in
        ["SSH-2.0-OpenSSH\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 1, 2\r\n\r\n", "\0\0\0\0"]
    {
        let listener = always(response).await;
        let called = listener.call(10).await;
        assert!(matches!(called, Err(CallError::Http(_))), "{response:?}: {called:?}");
    }
    let silent =
        Scripted::start(|mut stream| async move { read_request(&mut stream).await.map(drop) })
            .await;
    let called = silent.call(10).await;
    assert!(matches!(called, Err(CallError::Http(_))), "{called:?}");
    assert_eq!(silent.connections(), 1, "a request that may have been read is not repeated");
}

#[tokio::test]
async fn a_response_before_the_end_of_the_request_is_its_response() {
    const LARGE: usize = 8 * 1024 * 1024;
    // It refuses the body and closes.
    let refusing = Scripted::start(|mut stream| async move {
        stream.read_exact(&mut [0; 100]).await?;
        stream.write_all(b"HTTP/1.1 413 x\r\ncontent-length: 3\r\n\r\nbig").await?;
        stream.shutdown().await?;
        // Closing with unread bytes would reset the connection, and might lose the response.
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.map(drop)
    })
    .await;
    assert_eq!(refusing.call(LARGE).await.unwrap(), 413);
    // It accepts at once, and reads the body later.
    let hasty = Scripted::start(|mut stream| async move {
        stream.read_exact(&mut [0; 10]).await?;
        stream.write_all(b"HTTP/1.1 202 x\r\ncontent-length: 0\r\n\r\n").await?;
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.map(drop)
    })
    .await;
    assert_eq!(hasty.call(LARGE).await.unwrap(), 202);
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_not_used() {
    let (closed, mut closings) = mpsc::unbounded_channel();
    let listener = Scripted::start(move |mut stream| {
        let closed = closed.clone();
        async move {
            read_request(&mut stream).await?;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
            drop(stream);
            closed.send(()).unwrap();
            Ok(())
        }
    })
    .await;
    for count in 1..=5 {
        assert_eq!(listener.call(10).await.unwrap(), 200);
        closings.recv().await.unwrap();
        // Its end is seen by the runtime when it next polls its sockets.
        tokio::task::yield_now().await;
        assert_eq!(listener.connections(), count);
    }
}
