//! Why a call of the admin API fails, and the response that says so.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::http::{BodyError, HttpError, NoBearer, api_response};
use crate::source::{self, Right};
use crate::store::StoreError;

/// When a caller may try again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Why a call fails. `Display` is what the caller gets to read.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// There is no bearer token.
    #[error("You are not authenticated")]
    Unauthenticated,
    /// The bearer token is nobody's.
    #[error("Your token is invalid.")]
    InvalidToken,
    /// The caller lacks a right.
    #[error("you may not {} webhooks/deliveries.lenra.io in {}", .0.verb.name(), place(.0))]
    Forbidden(Right),
    /// Only this machine may call, and only what is meant for it; the text says what is wrong.
    #[error("{0}")]
    Foreign(&'static str),
    /// A parameter or a field cannot be taken; the text says which and why.
    #[error("{0}")]
    InvalidFilter(String),
    /// A POST that a form of another site could send.
    #[error("the header Content-Type must be application/json")]
    NotJson,
    /// The body was not read.
    #[error("{}", body_message(*.0))]
    Body(BodyError),
    /// There is no such delivery here, or none that the caller may know of; or no such path.
    #[error("Not Found.")]
    NotFound,
    /// It is not where it was looked for, and these replicas were not reached.
    #[error("this may be at a replica that does not answer: {}", .0.join(", "))]
    ReplicaUnavailable(Vec<String>),
    /// A replica that looked for others found itself.
    #[error("a replica asks itself")]
    AskedItself,
    /// The path does not take this method.
    #[error("the header Allow names the methods of this path")]
    MethodNotAllowed,
    /// The delivery has not ended: it is attempted anyway.
    #[error("the delivery has not ended: it is attempted without a replay")]
    NotEnded,
    /// The store has no room for a replay.
    #[error("the store is full")]
    Full,
    /// The store or the cluster failed; the text is for the log, not for the caller.
    #[error("this cannot be done right now, try again later")]
    Unavailable(String),
}

impl ApiError {
    fn status_and_reason(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated"),
            Self::InvalidToken => (StatusCode::UNAUTHORIZED, "invalid_token"),
            Self::Forbidden(_) | Self::Foreign(_) => (StatusCode::FORBIDDEN, "forbidden"),
            Self::InvalidFilter(_) => (StatusCode::BAD_REQUEST, "invalid_filter"),
            Self::NotJson => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
            Self::Body(BodyError::TooLarge) => (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large"),
            Self::Body(BodyError::TooSlow) => (StatusCode::REQUEST_TIMEOUT, "request_timeout"),
            Self::Body(BodyError::Broken) => (StatusCode::BAD_REQUEST, "invalid_body"),
            Self::NotFound => (StatusCode::NOT_FOUND, "error_404"),
            Self::ReplicaUnavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "replica_unavailable"),
            Self::AskedItself => (StatusCode::LOOP_DETECTED, "asked_itself"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::NotEnded => (StatusCode::CONFLICT, "not_ended"),
            Self::Full => (StatusCode::SERVICE_UNAVAILABLE, "store_full"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        }
    }
}

fn place(right: &Right) -> String {
    match &right.namespace {
        Some(namespace) => format!("the namespace {namespace}"),
        None => "all namespaces: name the one that is meant".into(),
    }
}

fn body_message(error: BodyError) -> &'static str {
    match error {
        BodyError::TooLarge => "the body is too large",
        BodyError::TooSlow => "the body took too long to arrive",
        BodyError::Broken => "the body cannot be read",
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Self::Unavailable(why) = &self {
            tracing::error!(error = why, "a call of the API failed");
        }
        let (status, reason) = self.status_and_reason();
        let mut error = HttpError::new(status, reason, self.to_string());
        if status == StatusCode::SERVICE_UNAVAILABLE {
            error.retry_after = Some(RETRY_AFTER);
        }
        api_response(error)
    }
}

impl From<NoBearer> for ApiError {
    fn from(error: NoBearer) -> Self {
        match error {
            NoBearer::Missing => Self::Unauthenticated,
            NoBearer::Malformed => Self::InvalidToken,
        }
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        Self::Body(error)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            // An app's share is asked of new events alone.
            StoreError::Full | StoreError::AppFull => Self::Full,
            StoreError::Busy | StoreError::Rejected(_) | StoreError::Failed(_) => {
                Self::Unavailable(error.to_string())
            }
        }
    }
}

impl From<source::StoreError> for ApiError {
    fn from(error: source::StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
