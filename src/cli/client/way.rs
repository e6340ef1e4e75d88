//! How a port of an operator is reached, and one request on that way.

use std::time::Duration;

use anyhow::anyhow;
use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Body;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, Config};

use crate::source::kubernetes::describe;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// The largest answer, in bytes: 500 deliveries of a list have less than 1 MiB.
const MAX_ANSWER: usize = 16 << 20;

/// How a port is reached.
pub enum Way {
    /// By a URL.
    Server(Client),
    /// By a port of a pod, which the API server forwards.
    Pod {
        /// The pods of its namespace.
        pods: Box<Api<Pod>>,
        /// Its name.
        name: String,
        /// The port.
        port: u16,
    },
}

/// Nothing came back, and why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreachable(pub String);

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Server(_) => "Server",
            Self::Pod { .. } => "Pod",
        })
    }
}

impl Way {
    /// The way to what has a URL.
    ///
    /// # Errors
    /// When it is no URL.
    pub fn to_server(url: &str) -> anyhow::Result<Self> {
        let mut config = Config::new(url.parse()?);
        config.connect_timeout = Some(CONNECT);
        // It is said that it did not work; it is not done twice.
        config.default_retry = false;
        let client = Client::try_from(config).map_err(|error| anyhow!(describe(&error)))?;
        Ok(Self::Server(client))
    }

    /// Sends a request whose URI is a path, and reads all of the answer.
    ///
    /// # Errors
    /// When there is no answer, or not all of it.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Unreachable> {
        match self {
            Self::Server(client) => {
                let request = request.map(|body| kube::client::Body::from(Vec::from(body)));
                let response = client.send(request).await;
                read(response.map_err(|error| Unreachable(describe(&error)))?).await
            }
            Self::Pod { pods, name, port } => send_to_pod(pods, name, *port, request).await,
        }
    }
}

async fn send_to_pod(
    pods: &Api<Pod>,
    name: &str,
    port: u16,
    mut request: Request<Bytes>,
) -> Result<Response<Bytes>, Unreachable> {
    let forwarded = pods.portforward(name, &[port]).await;
    let mut forwarded = forwarded.map_err(|error| Unreachable(describe(&error)))?;
    let stream = forwarded.take_stream(port);
    let stream = stream.ok_or_else(|| Unreachable(format!("port {port} is not forwarded")))?;
    let connection = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = connection.map_err(|error| Unreachable(error.to_string()))?;
    let connection = tokio::spawn(connection);
    request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
    let response = sender.send_request(request.map(Full::new)).await;
    let answer = match response {
        Ok(response) => read(response).await,
        Err(error) => Err(Unreachable(error.to_string())),
    };
    connection.abort();
    forwarded.abort();
    answer
}

async fn read<B>(response: Response<B>) -> Result<Response<Bytes>, Unreachable>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let (head, body) = response.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await;
    let body = body.map_err(|error| Unreachable(format!("the answer broke off: {error}")))?;
    Ok(Response::from_parts(head, body.to_bytes()))
}
