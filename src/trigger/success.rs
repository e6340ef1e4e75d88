//! The response to a request that was accepted: the default one, or what the sender's provider or
//! the webhook wants instead.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use uuid::Uuid;

use super::queue;
use crate::delivery::KeptResponse;
use crate::http::json_response;
use crate::routes::{AcceptedResponse, FixedResponse, TriggerOutcome};
use crate::verify::ProviderResponse;

/// The outcome of a trigger, in a response that is not the default one.
const OUTCOME: HeaderName = HeaderName::from_static("webhook-outcome");

/// The result of a request without an error.
#[derive(Debug)]
pub enum Success {
    /// The listener accepted the event.
    Delivered(Uuid, ListenerAnswer),
    /// The event is on stable storage.
    Stored(Uuid),
    /// The event was stored before, under this id.
    Duplicate(Uuid),
    /// The event was stored before, under this id, and is delivered again.
    Replayed(Uuid),
    /// The webhook's filter rejected the event.
    FilteredOut(Uuid),
    /// The response to a handshake, which has no event.
    Answered(Response<Bytes>),
    /// A request before the first event, see `spec.probes`.
    Probed,
}

/// The listener's status, and its response if the sender gets it.
pub type ListenerAnswer = (StatusCode, Option<Box<KeptResponse>>);

/// An accepted request, with the response that the sender's provider wants.
#[derive(Debug)]
pub struct Accepted {
    /// The result.
    pub success: Success,
    /// The default of the provider that signed the request.
    pub provider: Option<&'static ProviderResponse>,
}

impl Success {
    /// The outcome to count.
    pub fn outcome(&self) -> TriggerOutcome {
        match self {
            Self::Delivered(..) => TriggerOutcome::Delivered,
            Self::Stored(_) => TriggerOutcome::Stored,
            Self::Duplicate(_) => TriggerOutcome::Duplicate,
            Self::Replayed(_) => TriggerOutcome::Replayed,
            Self::FilteredOut(_) => TriggerOutcome::Filtered,
            Self::Answered(_) => TriggerOutcome::Handshake,
            Self::Probed => TriggerOutcome::Probe,
        }
    }
}

impl Accepted {
    /// A request that has no event, and so no response that a provider wants.
    pub fn without_event(success: Success) -> Self {
        Self { success, provider: None }
    }

    /// The outcome to count.
    pub fn outcome(&self) -> TriggerOutcome {
        self.success.outcome()
    }

    /// The response, and the id of the event if there is one. `wanted` is the webhook's.
    pub fn into_response(
        self,
        wanted: Option<&AcceptedResponse>,
    ) -> (Response<Full<Bytes>>, Option<Uuid>) {
        let outcome = self.outcome();
        let Self { success, provider } = self;
        let (status, body, event) = match success {
            Success::Answered(answer) => return (answer.map(Full::new), None),
            Success::Probed => return (Response::default(), None),
            Success::Delivered(event, (status, Some(kept))) => {
                return (with_outcome(of_listener(status, *kept), outcome), Some(event));
            }
            Success::Delivered(event, _) => (StatusCode::OK, "\"ok\"".to_owned(), event),
            Success::Stored(event) => {
                let (status, body) = queue::accepted(event);
                (status, body, event)
            }
            Success::Duplicate(first) => {
                let (status, body) = queue::duplicate(first);
                (status, body, first)
            }
            Success::Replayed(first) => {
                let (status, body) = queue::replayed(first);
                (status, body, first)
            }
            Success::FilteredOut(event) => {
                (StatusCode::OK, format!(r#"{{"id":"{event}","filtered":true}}"#), event)
            }
        };
        let response = json_response(status, body);
        let response = match (wanted, provider) {
            (Some(AcceptedResponse::Fixed(fixed)), _) => {
                with_outcome(fixed_response(response, fixed), outcome)
            }
            (_, Some(provider)) => with_outcome(of_provider(provider), outcome),
            _ => response,
        };
        (response, Some(event))
    }
}

fn fixed_response(
    mut response: Response<Full<Bytes>>,
    fixed: &FixedResponse,
) -> Response<Full<Bytes>> {
    if let Some(status) = fixed.status {
        *response.status_mut() = status;
    }
    let no_body = (None, Bytes::new());
    let is_without_body =
        matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT);
    match fixed.body.as_ref().or(is_without_body.then_some(&no_body)) {
        Some((content_type, body)) => {
            with_body(response.status(), content_type.as_ref(), body.clone())
        }
        None => response,
    }
}

fn of_provider(provider: &ProviderResponse) -> Response<Full<Bytes>> {
    let content_type = provider.content_type.map(HeaderValue::from_static);
    with_body(provider.status, content_type.as_ref(), Bytes::from_static(provider.body.as_bytes()))
}

fn of_listener(status: StatusCode, kept: KeptResponse) -> Response<Full<Bytes>> {
    let KeptResponse { content_type, content_encoding, body } = kept;
    let mut response = with_body(status, content_type.as_ref(), body);
    if let Some(encoding) = content_encoding {
        response.headers_mut().insert(CONTENT_ENCODING, encoding);
    }
    response
}

/// Says in a header what the body of the default response would have said.
fn with_outcome(
    mut response: Response<Full<Bytes>>,
    outcome: TriggerOutcome,
) -> Response<Full<Bytes>> {
    response.headers_mut().insert(OUTCOME, HeaderValue::from_static(outcome.as_str()));
    response
}

/// A response that no browser takes for another type than it says.
fn with_body(
    status: StatusCode,
    content_type: Option<&HeaderValue>,
    body: Bytes,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, content_type.clone());
    }
    response
}
