//! Errors of the admin API, and their responses.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::http::{BodyError, HttpError, NoBearer, api_response};
use crate::source::{self, Right};
use crate::store::StoreError;

/// `Retry-After` of responses with status 503.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Error of a call. `Display` is the message for the caller.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The request has no bearer token.
    #[error("You are not authenticated")]
    Unauthenticated,
    /// The bearer token belongs to no user of the cluster.
    #[error("Your token is invalid.")]
    InvalidToken,
    /// The caller lacks a right.
    #[error("you may not {} webhooks/deliveries.lenra.io in {}", .0.verb.name(), scope(.0))]
    Forbidden(Right),
    /// The request comes from another machine or another web site; the text says which check
    /// failed.
    #[error("{0}")]
    ForbiddenOrigin(&'static str),
    /// A parameter or field is invalid; the text says which and why.
    #[error("{0}")]
    InvalidFilter(String),
    /// A POST without JSON: a form of another web site could have sent it.
    #[error("the header Content-Type must be application/json")]
    NotJson,
    /// The body could not be read.
    #[error("{}", body_message(*.0))]
    Body(BodyError),
    /// The path or the delivery does not exist, or the caller may not see the delivery.
    #[error("Not Found.")]
    NotFound,
    /// The delivery was not found, but it may be at one of these unreachable replicas.
    #[error("not found on reachable replicas; unreachable: {}", .0.join(", "))]
    ReplicaUnavailable(Vec<String>),
    /// A request between replicas has reached the replica that sent it.
    #[error("peer request loop detected")]
    RequestLoop,
    /// The path does not support this method.
    #[error("method not allowed")]
    MethodNotAllowed,
    /// The delivery is pending, so a replay is pointless.
    #[error("the delivery is pending: it will be attempted without a replay")]
    Pending,
    /// The store has no space for a replay.
    #[error("the store is full")]
    Full,
    /// The store or the cluster failed. The text is for the log and is not sent to the caller.
    #[error("temporarily unavailable; try again later")]
    Unavailable(String),
}

impl AdminError {
    fn status_and_reason(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated"),
            Self::InvalidToken => (StatusCode::UNAUTHORIZED, "invalid_token"),
            Self::Forbidden(_) | Self::ForbiddenOrigin(_) => (StatusCode::FORBIDDEN, "forbidden"),
            Self::InvalidFilter(_) => (StatusCode::BAD_REQUEST, "invalid_filter"),
            Self::NotJson => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
            Self::Body(BodyError::TooLarge) => (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large"),
            Self::Body(BodyError::TooSlow) => (StatusCode::REQUEST_TIMEOUT, "request_timeout"),
            Self::Body(BodyError::Broken) => (StatusCode::BAD_REQUEST, "invalid_body"),
            Self::NotFound => (StatusCode::NOT_FOUND, "error_404"),
            Self::ReplicaUnavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "replica_unavailable"),
            Self::RequestLoop => (StatusCode::LOOP_DETECTED, "asked_itself"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::Pending => (StatusCode::CONFLICT, "not_ended"),
            Self::Full => (StatusCode::SERVICE_UNAVAILABLE, "store_full"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        }
    }
}

fn scope(right: &Right) -> String {
    match &right.namespace {
        Some(namespace) => format!("the namespace {namespace}"),
        None => "all namespaces; specify a namespace".into(),
    }
}

fn body_message(error: BodyError) -> &'static str {
    match error {
        BodyError::TooLarge => "the body is too large",
        BodyError::TooSlow => "the body took too long to arrive",
        BodyError::Broken => "the body cannot be read",
    }
}

impl IntoResponse for AdminError {
    fn into_response(self) -> Response {
        if let Self::Unavailable(why) = &self {
            tracing::error!(error = why, "an API request failed");
        }
        let (status, reason) = self.status_and_reason();
        let mut error = HttpError::new(status, reason, self.to_string());
        if status == StatusCode::SERVICE_UNAVAILABLE {
            error.retry_after = Some(RETRY_AFTER);
        }
        api_response(error)
    }
}

impl From<NoBearer> for AdminError {
    fn from(error: NoBearer) -> Self {
        match error {
            NoBearer::Missing => Self::Unauthenticated,
            NoBearer::Malformed => Self::InvalidToken,
        }
    }
}

impl From<BodyError> for AdminError {
    fn from(error: BodyError) -> Self {
        Self::Body(error)
    }
}

impl From<StoreError> for AdminError {
    fn from(error: StoreError) -> Self {
        match error {
            // `AppFull` does not occur for replays: the quota of an app applies to new events only.
            StoreError::Full | StoreError::AppFull => Self::Full,
            StoreError::Busy
            | StoreError::Rejected(_)
            | StoreError::Unavailable(_)
            | StoreError::Failed(_) => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<source::StoreError> for AdminError {
    fn from(error: source::StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
