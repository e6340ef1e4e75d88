//! A keep-alive HTTP client of one server, as small as the programs here need it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode, http::request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A request that takes longer fails.
const REQUEST_DEADLINE: Duration = Duration::from_secs(10);

/// Names and values, of one request or of all that a load sends.
pub type Headers = Vec<(&'static str, String)>;

/// A client with one connection, made when first needed and anew after it was closed.
pub struct Client {
    authority: String,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// A client of `HOST:PORT`.
    #[must_use]
    pub fn new(authority: &str) -> Self {
        Self { authority: authority.to_owned(), connection: None }
    }

    /// POSTs JSON and returns the status and body of the answer.
    ///
    /// # Errors
    /// When there is no answer within 10 s.
    pub async fn post(
        &mut self,
        path: &str,
        json: impl Into<Bytes>,
    ) -> Result<(StatusCode, Bytes)> {
        self.post_with(path, &Headers::new(), json).await
    }

    /// The same with headers beside those that every request has.
    ///
    /// # Errors
    /// When there is no answer within 10 s, and when a header is none.
    pub async fn post_with(
        &mut self,
        path: &str,
        headers: &Headers,
        json: impl Into<Bytes>,
    ) -> Result<(StatusCode, Bytes)> {
        let request = self.request(Method::POST, path).header(CONTENT_TYPE, "application/json");
        self.answer(with(request, headers).body(Full::new(json.into()))?).await
    }

    /// DELETEs a path, with headers, and returns the status and body of the answer.
    ///
    /// # Errors
    /// When there is no answer within 10 s, and when a header is none.
    pub async fn delete_with(
        &mut self,
        path: &str,
        headers: &Headers,
    ) -> Result<(StatusCode, Bytes)> {
        let request = self.request(Method::DELETE, path);
        self.answer(with(request, headers).body(Full::default())?).await
    }

    /// GETs a path and returns the status and body of the answer.
    ///
    /// # Errors
    /// When there is no answer within 10 s.
    pub async fn get(&mut self, path: &str) -> Result<(StatusCode, Bytes)> {
        self.answer(self.request(Method::GET, path).body(Full::default())?).await
    }

    fn request(&self, method: Method, path: &str) -> request::Builder {
        Request::builder().method(method).uri(path).header(HOST, self.authority.as_str())
    }

    async fn answer(&mut self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes)> {
        timeout(REQUEST_DEADLINE, self.send(request))
            .await
            .with_context(|| format!("no answer from {} in {REQUEST_DEADLINE:?}", self.authority))?
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes)> {
        let mut connection = self.take_or_connect().await?;
        let response = connection.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        self.connection = Some(connection);
        Ok((status, body))
    }

    async fn take_or_connect(&mut self) -> Result<SendRequest<Full<Bytes>>> {
        if let Some(mut connection) = self.connection.take()
            && connection.ready().await.is_ok()
        {
            return Ok(connection);
        }
        let stream = TcpStream::connect(&self.authority)
            .await
            .with_context(|| format!("connect to {}", self.authority))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

fn with(request: request::Builder, headers: &Headers) -> request::Builder {
    headers.iter().fold(request, |request, (name, value)| request.header(*name, value))
}

/// `HOST:PORT` of an `http://HOST:PORT/...` URL.
///
/// # Errors
/// When it is another URL.
pub fn authority(url: &str) -> Result<&str> {
    url.strip_prefix("http://")
        .and_then(|rest| rest.split('/').next())
        .with_context(|| format!("{url} is no http:// URL"))
}
