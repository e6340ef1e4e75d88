//! Errors of the app API and their responses.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::generation::Generation;
use crate::http::{BodyError, HttpError, NoBearer, api_response};
use crate::source::StoreError;

/// The `Retry-After` if the store fails.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// An error of the app API. `Display` is the public message.
#[derive(Debug, thiserror::Error)]
pub enum AppApiError {
    /// The request has no bearer token.
    #[error("You are not authenticated")]
    Unauthenticated,
    /// The bearer token is not valid for any app.
    #[error("Your token is invalid.")]
    InvalidToken,
    /// The ServiceAccount may act for several apps, and the request selects none.
    #[error(
        "the ServiceAccount may act for several apps: select one with the header Webhook-App-Uuid"
    )]
    AmbiguousApp,
    /// The action is missing or invalid.
    #[error("{} {problem}", .generation.field())]
    InvalidAction {
        /// The generation, which determines the field's name.
        generation: Generation,
        /// The rest of the message, after the field's name.
        problem: &'static str,
    },
    /// `props` is neither an object nor null.
    #[error("props must be an object or null")]
    InvalidProps,
    /// `user_id` is neither an integer nor null.
    #[error("user_id must be an integer or null")]
    InvalidUserId,
    /// The body is not a JSON object; the text is the cause.
    #[error("the body is not a JSON object: {0}")]
    InvalidJson(String),
    /// The path does not end in a UUID.
    #[error("the path does not end in a UUID")]
    InvalidUuid,
    /// The body is incomplete or its framing is invalid.
    #[error("the body cannot be read")]
    UnreadableBody,
    /// The body took too long to arrive.
    #[error("the body took too long to arrive")]
    RequestTimeout,
    /// The body is too large.
    #[error("the body is larger than 1 MiB")]
    PayloadTooLarge,
    /// The app has no such webhook, or the API no such path.
    #[error("Not Found.")]
    NotFound,
    /// The path does not support this method; the `Allow` header lists the supported ones.
    #[error("method not allowed")]
    MethodNotAllowed,
    /// The webhook is declared in a manifest.
    #[error("the webhook is declared in a manifest; delete it there")]
    Declared,
    /// Validation rejected the webhook; the text is the cause.
    #[error("{0}")]
    InvalidWebhook(String),
    /// A dependency failed; the text is logged and not sent to the caller.
    #[error("temporarily unavailable; try again later")]
    Unavailable(String),
}

impl AppApiError {
    fn status_and_reason(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated"),
            Self::InvalidToken => (StatusCode::UNAUTHORIZED, "invalid_token"),
            Self::AmbiguousApp => (StatusCode::BAD_REQUEST, "ambiguous_app"),
            Self::InvalidAction { generation, .. } => {
                (StatusCode::BAD_REQUEST, generation.invalid_field())
            }
            Self::InvalidProps => (StatusCode::BAD_REQUEST, "invalid_props"),
            Self::InvalidUserId => (StatusCode::BAD_REQUEST, "invalid_user_id"),
            Self::InvalidJson(_) => (StatusCode::BAD_REQUEST, "invalid_json"),
            Self::InvalidUuid => (StatusCode::BAD_REQUEST, "invalid_uuid"),
            Self::UnreadableBody => (StatusCode::BAD_REQUEST, "invalid_body"),
            Self::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "request_timeout"),
            Self::PayloadTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large"),
            Self::NotFound => (StatusCode::NOT_FOUND, "error_404"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::Declared => (StatusCode::CONFLICT, "declared_in_manifest"),
            Self::InvalidWebhook(_) => (StatusCode::BAD_REQUEST, "invalid_webhook"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        }
    }
}

impl IntoResponse for AppApiError {
    fn into_response(self) -> Response {
        if let Self::Unavailable(why) = &self {
            tracing::error!(error = why, "app API request failed");
        }
        let (status, reason) = self.status_and_reason();
        let mut error = HttpError::new(status, reason, self.to_string());
        if let Self::Unavailable(_) = self {
            error.retry_after = Some(RETRY_AFTER);
        }
        api_response(error)
    }
}

impl From<StoreError> for AppApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::NotFound,
            StoreError::Declared => Self::Declared,
            StoreError::Invalid(why) => Self::InvalidWebhook(why),
            StoreError::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

impl From<NoBearer> for AppApiError {
    fn from(error: NoBearer) -> Self {
        match error {
            NoBearer::Missing => Self::Unauthenticated,
            NoBearer::Malformed => Self::InvalidToken,
        }
    }
}

impl From<BodyError> for AppApiError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::PayloadTooLarge,
            BodyError::TooSlow => Self::RequestTimeout,
            BodyError::Broken => Self::UnreadableBody,
        }
    }
}
