//! The envelopes: what a listener call contains of the event. One envelope is one function from the
//! subject and the event to the body, the headers and the query of the request.

mod action;
mod cloud_event;
mod raw;
#[cfg(test)]
mod tests;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

pub use action::ApiField;
pub use raw::{RAW_QUERY, body_rule, discard, preserve, preserve_rule};

use super::{OutgoingEvent, Pieces, Subject};
use crate::event::EventError;
use crate::resources::Envelope;

/// The parts of a request that depend on the envelope.
#[derive(Debug)]
pub struct Enveloped {
    /// The body.
    pub body: Pieces,
    /// The headers that are passed on, and `Content-Type`.
    pub headers: HeaderMap,
    /// The query string that is added to the listener's URL.
    pub query: Option<HeaderValue>,
}

/// Puts an event into the envelope of its app. `api` creates the field `api`; it is called only for
/// an envelope that has one.
///
/// # Errors
/// The envelope needs the event as JSON, and the body cannot be converted.
pub fn wrap(
    subject: Subject<'_>,
    outgoing: OutgoingEvent,
    api: impl FnOnce() -> ApiField,
) -> Result<Enveloped, EventError> {
    match subject.app.envelope {
        Envelope::Action => action::wrap(br#"{"action":"#, subject, outgoing, &api()),
        Envelope::Listener => action::wrap(br#"{"listener":"#, subject, outgoing, &api()),
        Envelope::CloudEvent => cloud_event::wrap(subject, outgoing),
        Envelope::Raw => Ok(raw::wrap(outgoing)),
    }
}

/// A request with a JSON body of this media type.
fn json(media_type: &'static str, body: Pieces, mut headers: HeaderMap) -> Enveloped {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    // The event may have been accepted while the app had the envelope `Raw`.
    discard(&mut headers);
    Enveloped { body, headers, query: None }
}

/// Serializes a string as JSON.
fn json_string(text: &str) -> Vec<u8> {
    // Cannot fail: every string serializes.
    serde_json::to_vec(text).unwrap_or_default()
}
