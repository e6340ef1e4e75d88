//! One request to one replica over a new TLS connection, bounded in time and size. Nothing of the
//! request is sent before the peer has proved that it is a replica.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, LOCATION, USER_AGENT};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::authority::REPLICA_NAME;
use super::tls_error::PeerTlsError;
use super::{PeerResponse, REPLICA};
use crate::delivery::OPERATOR;
use crate::http::{BodyError, read_body};

/// Timeout of the connection, including the TLS and HTTP handshakes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Default deadline of a call, from the connect to the last byte of the response.
pub const RESPONSE_DEADLINE: Duration = Duration::from_secs(10);

/// Default maximum size of a response, in bytes. A list of 500 deliveries takes less than 1 MiB.
pub const MAX_RESPONSE: usize = 4 << 20;

/// A request to a replica.
#[derive(Clone)]
pub struct Question {
    /// The method.
    pub method: Method,
    /// The path with its query.
    pub path: String,
    /// The header `Authorization` of the original caller.
    pub authorization: Option<HeaderValue>,
    /// The JSON body.
    pub body: Bytes,
    /// Deadline of the call.
    pub deadline: Duration,
    /// Maximum size of the response, in bytes.
    pub max_response: usize,
}

/// Error of a call.
#[derive(Debug, thiserror::Error)]
pub enum PeerCallError {
    /// The connection could not be established.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// The TLS handshake failed.
    #[error("{0}")]
    Tls(PeerTlsError),
    /// The call took too long.
    #[error("no response in time")]
    Timeout,
    /// The request is not valid HTTP.
    #[error("invalid request: {0}")]
    Request(#[from] http::Error),
    /// The connection broke, or the response is not valid HTTP.
    #[error("no valid response: {0}")]
    Http(hyper::Error),
    /// The response lacks the header with the identity of the replica.
    #[error("the response is not from a replica")]
    NotAReplica,
    /// The body of the response could not be read.
    #[error("cannot read the response: {0:?}")]
    Body(BodyError),
}

impl From<io::Error> for PeerCallError {
    fn from(error: io::Error) -> Self {
        PeerTlsError::of(&error).map_or(Self::Connect(error), Self::Tls)
    }
}

impl From<hyper::Error> for PeerCallError {
    /// In TLS 1.3 the server verifies the client's certificate after the client has finished its
    /// handshake: the rejection is an error of the first read.
    fn from(error: hyper::Error) -> Self {
        PeerTlsError::of(&error).map_or(Self::Http(error), Self::Tls)
    }
}

/// Sends a request to the replica at an address. Redirects are not followed.
///
/// # Errors
/// See [`PeerCallError`].
pub async fn call(
    address: SocketAddr,
    tls: &TlsConnector,
    question: &Question,
    me: &HeaderValue,
    permits: &Semaphore,
) -> Result<PeerResponse, PeerCallError> {
    let exchange = async {
        // The semaphore is never closed.
        let _permit = permits.acquire().await.map_err(|_| PeerCallError::Timeout)?;
        let response = send(address, tls, request(address, question, me)?).await?;
        read(response, question.max_response).await
    };
    timeout(question.deadline, exchange).await.map_err(|_| PeerCallError::Timeout)?
}

fn request(
    address: SocketAddr,
    question: &Question,
    me: &HeaderValue,
) -> http::Result<Request<Full<Bytes>>> {
    let mut request = Request::builder()
        .method(&question.method)
        .uri(&question.path)
        .header(HOST, address.to_string())
        .header(USER_AGENT, OPERATOR)
        .header(CONTENT_TYPE, "application/json")
        .header(REPLICA, me);
    if let Some(authorization) = &question.authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    request.body(Full::new(question.body.clone()))
}

async fn send(
    address: SocketAddr,
    tls: &TlsConnector,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, PeerCallError> {
    let stream = timeout(CONNECT_TIMEOUT, connect(address, tls)).await;
    let stream = stream.map_err(|_| PeerCallError::Timeout)??;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // The task ends when the sender is dropped. Its result is not needed: `send_request` gets the
    // error.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender.send_request(request).await?)
}

/// Connects to a replica and verifies its certificate.
async fn connect(address: SocketAddr, tls: &TlsConnector) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(REPLICA_NAME).map_err(io::Error::other)?;
    tls.connect(name, stream).await
}

async fn read(response: Response<Incoming>, max: usize) -> Result<PeerResponse, PeerCallError> {
    let (parts, body) = response.into_parts();
    let identity = parts.headers.get(REPLICA).ok_or(PeerCallError::NotAReplica)?;
    let replica = identity.to_str().map_err(|_| PeerCallError::NotAReplica)?;
    let body = read_body(Body::new(body), max).await.map_err(PeerCallError::Body)?;
    let location = parts.headers.get(LOCATION).cloned();
    let replica = super::name_of(replica).to_owned();
    let (identity, status) = (identity.clone(), parts.status);
    Ok(PeerResponse { identity, replica, status, location, body })
}
