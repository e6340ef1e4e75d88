//! The event of a trigger: its conversion to JSON, and what of the trigger is passed on.

use std::cell::OnceCell;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::request::Parts;
use uuid::Uuid;

use super::Rejection;
use crate::delivery::{self, OutgoingEvent};
use crate::event::{self, Event, EventError, Form};
use crate::resources::Envelope;
use crate::routes::{Route, TriggerOutcome};
use crate::store::Content;
use crate::verify::Verified;

/// A body that is converted to the JSON of `event` when this is first needed. With the envelope
/// `Raw` only expressions need it: such a body need not be what its content type says.
#[derive(Debug)]
pub struct TriggerEvent {
    content_type: Option<HeaderValue>,
    body: Bytes,
    converted: OnceCell<Event>,
}

impl TriggerEvent {
    /// An event that is not converted yet.
    pub fn new(headers: &HeaderMap, body: Bytes) -> Self {
        let content_type = headers.get(CONTENT_TYPE).cloned();
        Self { content_type, body, converted: OnceCell::new() }
    }

    /// Converts the body, unless the app's envelope has no need for the JSON.
    ///
    /// # Errors
    /// 400, if the body violates its content type.
    pub fn convert_for(&self, envelope: Envelope) -> Result<(), Rejection> {
        match envelope {
            Envelope::Action | Envelope::Listener | Envelope::CloudEvent => self.get().map(drop),
            Envelope::Raw => Ok(()),
        }
    }

    /// The JSON of `event`.
    ///
    /// # Errors
    /// 400, if the body violates its content type.
    pub fn get(&self) -> Result<&Event, Rejection> {
        if let Some(event) = self.converted.get() {
            return Ok(event);
        }
        let content_type = self.content_type.as_ref().map(|value| value.as_bytes());
        let event = event::from_body(content_type, self.body.clone()).map_err(rejection)?;
        Ok(self.converted.get_or_init(|| event))
    }

    /// Joins the event with the headers of its trigger that are passed on.
    pub fn into_outgoing(
        self,
        id: Uuid,
        route: &Route,
        verified: Option<&Verified<'_>>,
        head: Parts,
    ) -> OutgoingEvent {
        let Self { content_type, body, converted } = self;
        let event = converted.into_inner();
        let form = event.as_ref().map_or(Form::Converted, |event| event.form);
        let headers = passed_on(route, verified, head);
        OutgoingEvent { id, content: Content { form, content_type, headers, body }, event }
    }
}

fn passed_on(route: &Route, verified: Option<&Verified<'_>>, head: Parts) -> HeaderMap {
    let forwarded = &route.binding.forward_headers;
    let provider = verified.map_or(&[][..], |verified| verified.event_headers());
    let is_raw = route.app.envelope == Envelope::Raw;
    let encodings = head.headers.get_all(CONTENT_ENCODING).iter().filter(|_| is_raw);
    let encodings: Vec<_> = encodings.cloned().collect();
    let mut headers = delivery::passed_on(forwarded, provider, head.headers);
    if is_raw {
        delivery::preserve(&mut headers, &encodings, head.uri.query());
    }
    if route.binding.forward_query {
        delivery::forward_query(&mut headers, head.uri.query());
    }
    headers
}

fn rejection(error: EventError) -> Rejection {
    let outcome = match error {
        EventError::InvalidJson { .. }
        | EventError::JsonTooDeep { .. }
        | EventError::WrongCharset => TriggerOutcome::InvalidJson,
        EventError::TooManyFields { .. } | EventError::MalformedMultipart(_) => {
            TriggerOutcome::InvalidForm
        }
    };
    Rejection::bad_request(outcome, error.to_string())
}
