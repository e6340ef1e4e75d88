//! The event of a trigger: its conversion to JSON, and what of the trigger is passed on.

use std::cell::OnceCell;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::request::Parts;
use uuid::Uuid;

use super::Rejection;
use super::decoding::CodedBody;
use crate::delivery::{self, OutgoingEvent};
use crate::event::{self, BodyRule, Event, EventError, Form};
use crate::resources::Envelope;
use crate::routes::{DedupBy, Route, TriggerOutcome};
use crate::store::Content;
use crate::verify::Verified;

/// What the decoded body is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodedUse {
    /// The event, for the listener or for an expression.
    Event,
    /// The delivery id. An event without one is accepted, too.
    DeliveryId,
    /// Nothing: with the envelope `Raw`, the listener gets the body as it was sent.
    Nothing,
}

impl DecodedUse {
    /// The use of a trigger's body.
    pub fn of(route: &Route, verified: Option<&Verified<'_>>) -> Self {
        let guards = route.binding.guards.as_deref();
        let dedup = route.binding.delivery.dedup.as_deref().map(|dedup| &dedup.by);
        let has_expression = guards.is_some_and(|guards| guards.filter.is_some())
            || matches!(dedup, Some(DedupBy::Key(_)));
        let has_id = verified.is_some_and(|verified| verified.has_id_in_body())
            && matches!(dedup, Some(DedupBy::Provider));
        if route.app.envelope != Envelope::Raw || has_expression {
            Self::Event
        } else if has_id {
            Self::DeliveryId
        } else {
            Self::Nothing
        }
    }
}

/// A body that is converted to the JSON of `event` when this is first needed. With the envelope
/// `Raw` only expressions need it: such a body need not be what its content type says.
#[derive(Debug)]
pub struct TriggerEvent {
    content_type: Option<HeaderValue>,
    rule: BodyRule,
    sent: Bytes,
    is_encoded: bool,
    /// Absent if the body has a content coding, and no event is needed.
    decoded: Option<Bytes>,
    converted: OnceCell<Event>,
}

impl TriggerEvent {
    /// An event that is not converted yet. The webhook's own rule precedes that of the provider.
    pub fn new(
        route: &Route,
        verified: Option<&Verified<'_>>,
        headers: &HeaderMap,
        body: &CodedBody,
    ) -> Self {
        let field = verified.and_then(|verified| verified.form_field());
        let rule = match (&route.binding.body, field) {
            (BodyRule::Auto, Some(field)) => BodyRule::of_provider(field),
            (rule, _) => rule.clone(),
        };
        let content_type = headers.get(CONTENT_TYPE).cloned();
        Self {
            content_type,
            rule,
            sent: body.sent.clone(),
            is_encoded: body.is_encoded(),
            decoded: body.decoded.clone(),
            converted: OnceCell::new(),
        }
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
        debug_assert!(self.decoded.is_some(), "an expression needs a body that was not decoded");
        let body = self.decoded.as_ref().unwrap_or(&self.sent).clone();
        let content_type = self.content_type.as_ref().map(|value| value.as_bytes());
        let event = event::convert(&self.rule, content_type, body).map_err(rejection)?;
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
        let Self { content_type, rule, sent, is_encoded, decoded, converted } = self;
        let event = converted.into_inner();
        let inputs = delivery::transform::inputs(route, &head.headers, head.uri.query());
        let is_as_sent = is_encoded && route.app.envelope == Envelope::Raw;
        let (body, form) = match decoded.filter(|_| !is_as_sent) {
            Some(body) => (body, event.as_ref().map_or(Form::Converted, |event| event.form)),
            // Before it is converted again, it has to be decoded again.
            None => (sent, Form::Converted),
        };
        let mut headers = passed_on(route, verified, head);
        if form == Form::Converted {
            delivery::preserve_rule(&mut headers, &rule);
        }
        headers.extend(inputs);
        let content = Content { form, content_type, headers, body };
        OutgoingEvent { event, ..OutgoingEvent::new(id, content) }
    }
}

fn passed_on(route: &Route, verified: Option<&Verified<'_>>, head: Parts) -> HeaderMap {
    let forwarded = &route.binding.forward_headers;
    let provider = verified.map_or(&[][..], |verified| verified.event_headers());
    let encodings: Vec<_> = head.headers.get_all(CONTENT_ENCODING).iter().cloned().collect();
    let mut headers = delivery::passed_on(forwarded, provider, head.headers);
    // What the operator stores under these names never comes from the sender.
    delivery::discard(&mut headers);
    if route.app.envelope == Envelope::Raw {
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
        EventError::TooManyFields { .. }
        | EventError::FormField(_)
        | EventError::MalformedMultipart(_) => TriggerOutcome::InvalidForm,
        EventError::Coding => TriggerOutcome::InvalidBody,
    };
    Rejection::bad_request(outcome, error.to_string())
}
