//! One question to one replica: a TLS connection of its own, bounded in time and in size. Nothing of the
//! question is sent before the other side has proved that it is a replica.

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
use super::tls_error::TlsError;
use super::{Answer, REPLICA};
use crate::delivery::OPERATOR;
use crate::http::{BodyError, read_body};

/// How long a connection may take, its handshake included.
const CONNECT: Duration = Duration::from_secs(2);

/// How long an answer may take, from the connection to the last byte.
pub const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// The largest answer, in bytes, unless the question says otherwise: 500 deliveries of a list have less
/// than 1 MiB.
pub const MAX_ANSWER: usize = 4 << 20;

/// What is asked of a replica.
#[derive(Clone)]
pub struct Question {
    /// The method.
    pub method: Method,
    /// The path with its query.
    pub path: String,
    /// Who asks.
    pub authorization: Option<HeaderValue>,
    /// The body, which is JSON.
    pub body: Bytes,
    /// How long it may take.
    pub deadline: Duration,
    /// The largest answer that is read, in bytes.
    pub max_answer: usize,
}

/// Why a replica did not answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No connection came about.
    #[error("no connection: {0}")]
    Connect(io::Error),
    /// The two sides have not proved themselves to each other.
    #[error("{0}")]
    Tls(TlsError),
    /// It took too long.
    #[error("no answer in time")]
    Timeout,
    /// There is no such request.
    #[error("it cannot be asked for: {0}")]
    Request(#[from] http::Error),
    /// The connection broke, or the answer is not HTTP.
    #[error("no valid answer: {0}")]
    Http(hyper::Error),
    /// What answers does not say which replica it is.
    #[error("what answers is no replica")]
    Stranger,
    /// The answer was not read.
    #[error("the answer could not be read: {0:?}")]
    Body(BodyError),
}

impl From<io::Error> for CallError {
    fn from(error: io::Error) -> Self {
        TlsError::of(&error).map_or(Self::Connect(error), Self::Tls)
    }
}

impl From<hyper::Error> for CallError {
    /// In TLS 1.3 a certificate is refused after the handshake: the first read tells.
    fn from(error: hyper::Error) -> Self {
        TlsError::of(&error).map_or(Self::Http(error), Self::Tls)
    }
}

/// Asks the replica at an address. Redirects are not followed.
///
/// # Errors
/// See [`CallError`].
pub async fn call(
    address: SocketAddr,
    tls: &TlsConnector,
    question: &Question,
    me: &HeaderValue,
    permits: &Semaphore,
) -> Result<Answer, CallError> {
    let asked = async {
        // Nobody closes the semaphore.
        let _permit = permits.acquire().await.map_err(|_| CallError::Timeout)?;
        let response = send(address, tls, request(address, question, me)?).await?;
        read(response, question.max_answer).await
    };
    timeout(question.deadline, asked).await.map_err(|_| CallError::Timeout)?
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
) -> Result<Response<Incoming>, CallError> {
    let stream = timeout(CONNECT, connect(address, tls)).await;
    let stream = stream.map_err(|_| CallError::Timeout)??;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the sender; how it ends is told to whoever waits for an answer.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender.send_request(request).await?)
}

/// A connection to a replica that has proved itself.
async fn connect(address: SocketAddr, tls: &TlsConnector) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(REPLICA_NAME).map_err(io::Error::other)?;
    tls.connect(name, stream).await
}

async fn read(response: Response<Incoming>, max: usize) -> Result<Answer, CallError> {
    let (parts, body) = response.into_parts();
    let identity = parts.headers.get(REPLICA).ok_or(CallError::Stranger)?;
    let replica = identity.to_str().map_err(|_| CallError::Stranger)?;
    let body = read_body(Body::new(body), max).await.map_err(CallError::Body)?;
    let location = parts.headers.get(LOCATION).cloned();
    let replica = super::name_of(replica).to_owned();
    let (identity, status) = (identity.clone(), parts.status);
    Ok(Answer { identity, replica, status, location, body })
}
