//! The limit to compare with: a bare hyper forwarder that wraps each body as the operator does
//! and forwards it, with no route, no check of the JSON and no headers of its own.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bench_kit::cores;
use bytes::Bytes;
use clap::Parser;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self as client, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::spawn_local;

/// The envelope, as it is for a webhook of the benchmark.
const BEFORE_EVENT: &[u8] = br#"{"action":"a","props":null,"event":"#;
const AFTER_EVENT: &[u8] = br#","api":{"url":"http://webhook-operator-app-api.webhooks.svc:8081","token":"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJiZW5jaCIsImV4cCI6MTgwMDAwMDAwMH0.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}}"#;

/// Wraps the body of every request as an event and forwards it to the listener.
#[derive(Parser)]
struct Args {
    /// The listener, as ADDRESS:PORT.
    #[arg(long)]
    listener: SocketAddr,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value_t = cores::any_loopback_port())]
    addr: SocketAddr,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let host = HeaderValue::from_str(&args.listener.to_string())?;
    cores::serve(args.addr, move || {
        let upstream = Rc::new(Upstream {
            address: args.listener,
            host: host.clone(),
            idle: RefCell::default(),
        });
        move |stream| serve(stream, Rc::clone(&upstream))
    })?;
    Ok(())
}

async fn serve(stream: TcpStream, upstream: Rc<Upstream>) {
    let service = service_fn(move |request| forward(Rc::clone(&upstream), request));
    let connection = server::Builder::new()
        // Answers are small: one plain write is cheaper than a vectored one.
        .writev(false)
        .serve_connection(TokioIo::new(stream), service);
    // A client that goes away is the usual end of a connection here.
    let _ = connection.await;
}

async fn forward(
    upstream: Rc<Upstream>,
    request: Request<Incoming>,
) -> hyper::Result<Response<Full<Bytes>>> {
    let envelope = Envelope::around(request.into_body()).await?;
    let status = upstream.post(envelope).await.unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = Response::new(Full::new(Bytes::from_static(br#""ok""#)));
    if !status.is_success() {
        *response.status_mut() = StatusCode::BAD_GATEWAY;
    }
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// The envelope around a body: what was received is sent as it lies in memory, not copied.
struct Envelope {
    parts: VecDeque<Bytes>,
    left: u64,
}

impl Envelope {
    async fn around(mut event: Incoming) -> hyper::Result<Self> {
        let mut envelope = Self { parts: VecDeque::with_capacity(4), left: 0 };
        envelope.push(Bytes::from_static(BEFORE_EVENT));
        while let Some(frame) = event.frame().await {
            if let Ok(data) = frame?.into_data() {
                envelope.push(data);
            }
        }
        envelope.push(Bytes::from_static(AFTER_EVENT));
        Ok(envelope)
    }

    fn push(&mut self, part: Bytes) {
        self.left += part.len() as u64;
        self.parts.push_back(part);
    }
}

impl Body for Envelope {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = self.parts.pop_front();
        self.left -= part.as_ref().map_or(0, |part| part.len() as u64);
        Poll::Ready(part.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

type Connection = SendRequest<Envelope>;

/// The listener, and one core's idle connections to it: the last used is the first taken.
struct Upstream {
    address: SocketAddr,
    host: HeaderValue,
    idle: RefCell<Vec<Connection>>,
}

impl Upstream {
    async fn post(&self, body: Envelope) -> anyhow::Result<StatusCode> {
        let mut connection = self.take().await?;
        let response = connection.send_request(self.request(body)).await?;
        let status = response.status();
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            frame?;
        }
        self.idle.borrow_mut().push(connection);
        Ok(status)
    }

    fn request(&self, body: Envelope) -> Request<Envelope> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        request.headers_mut().insert(HOST, self.host.clone());
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request
    }

    async fn take(&self) -> anyhow::Result<Connection> {
        loop {
            // In a statement of its own: the borrow must not last while another task runs.
            let idle = self.idle.borrow_mut().pop();
            let Some(mut connection) = idle else {
                return self.connect().await;
            };
            if connection.ready().await.is_ok() {
                return Ok(connection);
            }
        }
    }

    async fn connect(&self) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = client::Builder::new().handshake(TokioIo::new(stream)).await?;
        spawn_local(connection);
        Ok(sender)
    }
}
