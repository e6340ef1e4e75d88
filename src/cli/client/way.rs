//! Connections to a port of an operator, and requests over them.

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

/// Timeout of connecting.
const CONNECT: Duration = Duration::from_secs(5);

/// Largest response, in bytes: a list of 500 deliveries is smaller than 1 MiB.
const MAX_ANSWER: usize = 16 << 20;

/// How to connect to a port.
pub enum Way {
    /// By a URL.
    Server(Client),
    /// By port forwarding through the API server.
    Pod {
        /// API for the pods of its namespace.
        pods: Box<Api<Pod>>,
        /// Name of the pod.
        name: String,
        /// Port of the pod.
        port: u16,
    },
}

/// Why no response was received.
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
    /// Connects to the host of a URL.
    ///
    /// # Errors
    /// The URL is invalid.
    pub fn to_server(url: &str) -> anyhow::Result<Self> {
        let mut config = Config::new(url.parse()?);
        config.connect_timeout = Some(CONNECT);
        // A failed request is reported, not retried.
        config.default_retry = false;
        let client = Client::try_from(config).map_err(|error| anyhow!(describe(&error)))?;
        Ok(Self::Server(client))
    }

    /// Sends a request whose URI is a path, and reads the whole response.
    ///
    /// # Errors
    /// No response, or an incomplete one.
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
    let body = body.map_err(|error| Unreachable(format!("the response is incomplete: {error}")))?;
    Ok(Response::from_parts(head, body.to_bytes()))
}
