//! The rejection of a trigger. Each constructor takes the outcome that is counted, and the `reason`
//! of the response is that outcome's label: the two cannot differ.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use uuid::Uuid;

use crate::http::HttpError;
use crate::routes::TriggerOutcome;

/// An error response with its outcome, and with the id of the event if it has one.
#[derive(Debug)]
pub struct Rejection {
    outcome: TriggerOutcome,
    response: HttpError,
    event: Option<Uuid>,
}

impl Rejection {
    /// Creates a rejection. The message is public.
    pub fn new(status: StatusCode, outcome: TriggerOutcome, message: impl Into<String>) -> Self {
        debug_assert!(!outcome.is_accepted(), "{outcome:?} is not the outcome of a rejection");
        let response = HttpError::new(status, outcome.as_str(), message);
        Self { outcome, response, event: None }
    }

    /// 400.
    pub fn bad_request(outcome: TriggerOutcome, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, outcome, message)
    }

    /// 404, identical for everything that does not exist.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, TriggerOutcome::NotFound, "Not Found.")
    }

    /// 405. All webhooks support POST.
    pub fn method_not_allowed() -> Self {
        let (status, outcome) = (StatusCode::METHOD_NOT_ALLOWED, TriggerOutcome::MethodNotAllowed);
        let mut rejection = Self::new(status, outcome, "Method Not Allowed.");
        rejection.response.allow = Some("POST");
        rejection
    }

    /// 415, with the codings that are supported (RFC 9110, section 15.5.16).
    pub fn unsupported_encoding(accepted: &'static str) -> Self {
        let (status, outcome) =
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, TriggerOutcome::UnsupportedEncoding);
        let mut rejection = Self::new(status, outcome, "The content coding is not supported.");
        rejection.response.accept_encoding = Some(accepted);
        rejection
    }

    /// 503: the sender should retry after `wait`.
    pub fn unavailable(outcome: TriggerOutcome, message: &'static str, wait: Duration) -> Self {
        let rejection = Self::new(StatusCode::SERVICE_UNAVAILABLE, outcome, message);
        rejection.retry_after(wait)
    }

    /// 429: the sender should wait for `wait`.
    pub fn rate_limited(wait: Duration) -> Self {
        let (status, outcome) = (StatusCode::TOO_MANY_REQUESTS, TriggerOutcome::RateLimited);
        Self::new(status, outcome, "Too many triggers; try again later.").retry_after(wait)
    }

    fn retry_after(mut self, wait: Duration) -> Self {
        self.response.retry_after = Some(wait);
        self
    }

    /// The same rejection, with the connection closed afterwards.
    pub fn closing(self) -> Self {
        Self { response: self.response.closing(), ..self }
    }

    /// The same rejection, of this event.
    pub fn of_event(self, event: Uuid) -> Self {
        Self { event: Some(event), ..self }
    }

    /// The outcome to count.
    pub fn outcome(&self) -> TriggerOutcome {
        self.outcome
    }

    /// The response, and the id of the event if there is one.
    pub fn into_response(self) -> (Response<Full<Bytes>>, Option<Uuid>) {
        (self.response.into_response(), self.event)
    }
}
