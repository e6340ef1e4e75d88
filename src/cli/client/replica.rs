//! A client of one replica's delivery API.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::way::{Unreachable, Way};
use crate::delivery::OPERATOR;
use crate::peers::REPLICA;

/// Timeout of a request; a replay by filter has a longer one.
const DEADLINE: Duration = Duration::from_secs(30);
const DEADLINE_OF_REPLAY: Duration = Duration::from_secs(15 * 60);

/// A replica and how to connect to it.
#[derive(Debug)]
pub struct Replica {
    /// Its name in messages.
    pub name: String,
    /// How to connect to it.
    pub way: Way,
    /// Authorization header.
    pub authorization: Option<HeaderValue>,
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// The replica refused it.
    #[error("{message}")]
    Refused {
        /// Status of the response.
        status: StatusCode,
        /// Message of the response.
        message: String,
    },
    /// No connection, or the response is not one of the delivery API.
    #[error("{0}")]
    Unreachable(String),
}

impl From<Unreachable> for ReplicaError {
    fn from(Unreachable(why): Unreachable) -> Self {
        Self::Unreachable(why)
    }
}

#[derive(Deserialize)]
struct ErrorBody {
    message: String,
}

impl Replica {
    /// Sends a GET request.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ReplicaError> {
        self.ask(Method::GET, path, Bytes::new(), DEADLINE).await
    }

    /// The text of a probe, and whether it succeeded.
    ///
    /// # Errors
    /// No response.
    pub async fn probe(&self, path: &str) -> Result<(bool, String), ReplicaError> {
        let request = self.request(Method::GET, path, Bytes::new())?;
        let late = || unreachable(format!("no answer within {} s", DEADLINE.as_secs()));
        let (status, body) = timeout(DEADLINE, self.send(request)).await.map_err(|_| late())??;
        Ok((status.is_success(), String::from_utf8_lossy(&body).into_owned()))
    }

    /// Sends a POST request.
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
        serde_json::from_slice(&body).map_err(|error| {
            unreachable(format!("the response is not from the delivery API: {error}"))
        })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Request<Bytes>, ReplicaError> {
        let mut request = Request::builder().method(method).uri(path).header(USER_AGENT, OPERATOR);
        if let Way::Pod { .. } = self.way {
            // This client queries the other replicas itself.
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
        let answer = self.way.send(request).await?;
        Ok((answer.status(), answer.into_body()))
    }
}

fn refused(status: StatusCode, body: &[u8]) -> ReplicaError {
    let message = serde_json::from_slice::<ErrorBody>(body).map(|body| body.message);
    // Servers other than the delivery API have errors of another format.
    let message = message.unwrap_or_else(|_| format!("the response has status {status}"));
    ReplicaError::Refused { status, message }
}

fn unreachable(why: String) -> ReplicaError {
    ReplicaError::Unreachable(why)
}
