//! One replica's delivery API: a request on the way there, and what comes back.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Body;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::delivery::OPERATOR;
use crate::peers::REPLICA;
use crate::source::kubernetes::describe;

/// How long a replica may take for an answer; for a replay by filter it is asked to do more.
const DEADLINE: Duration = Duration::from_secs(30);
const DEADLINE_OF_REPLAY: Duration = Duration::from_secs(15 * 60);

/// The largest answer, in bytes: 500 deliveries of a list have less than 1 MiB.
const MAX_ANSWER: usize = 16 << 20;

/// A replica, as one may reach it.
#[derive(Debug)]
pub struct Replica {
    /// What people call it.
    pub name: String,
    /// How it is reached.
    pub way: Way,
    /// Who calls.
    pub authorization: Option<HeaderValue>,
}

/// How a replica is reached.
pub enum Way {
    /// By its URL.
    Server(Client),
    /// By a port of its pod, which the API server forwards.
    Pod {
        /// The pods of its namespace.
        pods: Api<Pod>,
        /// The admin port.
        port: u16,
    },
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Server(_) => "Server",
            Self::Pod { .. } => "Pod",
        })
    }
}

/// Why a replica did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// It said no.
    #[error("{message}")]
    Refused {
        /// The status of its answer.
        status: StatusCode,
        /// Why, in its own words.
        message: String,
    },
    /// It was not reached, or what was reached is something else.
    #[error("{0}")]
    Unreachable(String),
}

#[derive(Deserialize)]
struct ErrorBody {
    message: String,
}

impl Replica {
    /// Reads something.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ReplicaError> {
        self.ask(Method::GET, path, Bytes::new(), DEADLINE).await
    }

    /// Has something done.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<T, ReplicaError> {
        self.ask(Method::POST, path, body.into(), DEADLINE_OF_REPLAY).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        deadline: Duration,
    ) -> Result<T, ReplicaError> {
        let request = self.request(method, path, body)?;
        let late = || unreachable(format!("no answer within {} s", deadline.as_secs()));
        let (status, body) = timeout(deadline, self.send(request)).await.map_err(|_| late())??;
        if !status.is_success() {
            return Err(refused(status, &body));
        }
        serde_json::from_slice(&body)
            .map_err(|error| unreachable(format!("what answers is not the delivery API: {error}")))
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Request<Bytes>, ReplicaError> {
        let mut request = Request::builder().method(method).uri(path).header(USER_AGENT, OPERATOR);
        if let Way::Pod { .. } = self.way {
            // The others are asked by ourselves.
            request = request.header(REPLICA, HeaderValue::from_static("command-line"));
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let json = HeaderValue::from_static("application/json");
        request
            .header(CONTENT_TYPE, json)
            .body(body)
            .map_err(|error| unreachable(error.to_string()))
    }

    async fn send(&self, request: Request<Bytes>) -> Result<(StatusCode, Bytes), ReplicaError> {
        match &self.way {
            Way::Server(client) => {
                let request = request.map(|body| kube::client::Body::from(Vec::from(body)));
                let response = client.send(request).await;
                read(response.map_err(|error| unreachable(describe(&error)))?).await
            }
            Way::Pod { pods, port } => self.send_to_pod(pods, *port, request).await,
        }
    }

    async fn send_to_pod(
        &self,
        pods: &Api<Pod>,
        port: u16,
        mut request: Request<Bytes>,
    ) -> Result<(StatusCode, Bytes), ReplicaError> {
        let forwarded = pods.portforward(&self.name, &[port]).await;
        let mut forwarded = forwarded.map_err(|error| unreachable(describe(&error)))?;
        let stream = forwarded.take_stream(port);
        let stream = stream.ok_or_else(|| unreachable(format!("port {port} is not forwarded")))?;
        let connection = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) =
            connection.map_err(|error| unreachable(error.to_string()))?;
        let connection = tokio::spawn(connection);
        request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
        let response = sender.send_request(request.map(Full::new)).await;
        let answer = match response {
            Ok(response) => read(response).await,
            Err(error) => Err(unreachable(error.to_string())),
        };
        connection.abort();
        forwarded.abort();
        answer
    }
}

async fn read<B>(response: Response<B>) -> Result<(StatusCode, Bytes), ReplicaError>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
    let body = body.map_err(|error| unreachable(format!("the answer broke off: {error}")))?;
    Ok((status, body.to_bytes()))
}

fn refused(status: StatusCode, body: &[u8]) -> ReplicaError {
    let message = serde_json::from_slice::<ErrorBody>(body).map(|body| body.message);
    // What is no delivery API has its own errors.
    let message = message.unwrap_or_else(|_| format!("it answers {status}"));
    ReplicaError::Refused { status, message }
}

fn unreachable(why: String) -> ReplicaError {
    ReplicaError::Unreachable(why)
}
