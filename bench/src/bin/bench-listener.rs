//! The trivial listener behind every subject: reads each request's body and answers 200 `ok`; to a GET,
//! with how many others there were.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use bench_kit::cores;
use bytes::Bytes;
use clap::Parser;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Requests that were read to their end, on all cores.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// Answers 200 "ok" to every request after reading its body; to a GET, the number of all others.
#[derive(Parser)]
struct Args {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value_t = cores::any_loopback_port())]
    addr: SocketAddr,
}

fn main() -> std::io::Result<()> {
    cores::serve(Args::parse().addr, || serve)
}

async fn serve(stream: TcpStream) {
    // A client that goes away is the usual end of a connection here.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == Method::GET {
        return Ok(Response::new(Full::new(TAKEN.load(Ordering::Relaxed).to_string().into())));
    }
    let mut body = request.into_body();
    let mut status = StatusCode::OK;
    while let Some(frame) = body.frame().await {
        if frame.is_err() {
            status = StatusCode::BAD_REQUEST;
            break;
        }
    }
    TAKEN.fetch_add(1, Ordering::Relaxed);
    let mut response = Response::new(Full::new(Bytes::from_static(b"ok")));
    *response.status_mut() = status;
    Ok(response)
}
