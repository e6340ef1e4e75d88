//! The error type of the public ports: a status, a reason, and a message.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An error response. Everything in it is public; internal details are logged where they occur.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpError {
    /// The status code.
    pub status: StatusCode,
    /// The reason as an identifier for programs.
    pub reason: &'static str,
    /// A sentence for people.
    pub message: String,
    /// The `Allow` header of a 405.
    pub allow: Option<&'static str>,
    /// The `Accept-Encoding` header of a 415.
    pub accept_encoding: Option<&'static str>,
    /// The `Retry-After` header; rounded up to whole seconds.
    pub retry_after: Option<Duration>,
    /// Whether to close the connection: its remaining bytes are not wanted or cannot be parsed.
    pub close: bool,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    message: &'a str,
    reason: &'a str,
    metadata: Empty,
}

#[derive(Serialize)]
struct Empty {}

impl HttpError {
    /// Creates an error.
    pub fn new(status: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            status,
            reason,
            message,
            allow: None,
            accept_encoding: None,
            retry_after: None,
            close: false,
        }
    }

    /// 400.
    pub fn bad_request(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason, message)
    }

    /// The same error, with the connection closed afterwards.
    pub fn closing(self) -> Self {
        Self { close: true, ..self }
    }

    /// The response.
    pub fn into_response(self) -> Response<Full<Bytes>> {
        self.into_response_of()
    }

    /// The response, with another body type.
    pub fn into_response_of<B: From<Bytes>>(self) -> Response<B> {
        let body = ErrorBody { message: &self.message, reason: self.reason, metadata: Empty {} };
        // Serializing two strings and an empty object cannot fail.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = Response::new(B::from(body.into()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(codings) = self.accept_encoding {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(codings));
        }
        if let Some(after) = self.retry_after {
            // Rounded up: a client that retries too early is rejected again.
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if self.close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// A response with a JSON body.
pub fn json_response(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// A response with a value as JSON; a 500 without a body if the value cannot be serialized.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_vec(value) {
        Ok(body) => json_response(status, body),
        Err(error) => {
            tracing::error!(%error, "cannot serialize the response");
            json_response(StatusCode::INTERNAL_SERVER_ERROR, Bytes::new())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn an_error_is_the_same_three_fields_in_the_same_order() {
        let error = HttpError::new(StatusCode::NOT_FOUND, "error_404", "Not Found.");
        let response = error.into_response();
        assert_eq!(response.status(), 404);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, r#"{"message":"Not Found.","reason":"error_404","metadata":{}}"#);
    }

    #[test]
    fn retry_after_is_rounded_up_and_at_least_one_second() {
        for (millis, seconds) in [(0, "1"), (10, "1"), (1000, "1"), (1001, "2"), (5000, "5")] {
            let mut error = HttpError::bad_request("any", "Any.");
            error.retry_after = Some(Duration::from_millis(millis));
            assert_eq!(error.into_response().headers()[RETRY_AFTER], seconds);
        }
    }
}
