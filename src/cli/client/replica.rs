//! One replica's delivery API: a request on the way there, and what comes back.

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

/// How long a replica may take for an answer; for a replay by filter it is asked to do more.
const DEADLINE: Duration = Duration::from_secs(30);
const DEADLINE_OF_REPLAY: Duration = Duration::from_secs(15 * 60);

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
    /// Reads something.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ReplicaError> {
        self.ask(Method::GET, path, Bytes::new(), DEADLINE).await
    }

    /// What a probe says: its text, and whether that is good.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn probe(&self, path: &str) -> Result<(bool, String), ReplicaError> {
        let request = self.request(Method::GET, path, Bytes::new())?;
        let late = || unreachable(format!("no answer within {} s", DEADLINE.as_secs()));
        let (status, body) = timeout(DEADLINE, self.send(request)).await.map_err(|_| late())??;
        Ok((status.is_success(), String::from_utf8_lossy(&body).into_owned()))
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
        let answer = self.way.send(request).await?;
        Ok((answer.status(), answer.into_body()))
    }
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
