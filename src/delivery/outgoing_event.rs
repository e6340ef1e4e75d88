//! An event on its way to a listener.

use bytes::Bytes;
use http::HeaderMap;
use uuid::Uuid;

use super::envelope;
use crate::coding::{Codings, Decoder, Progress};
use crate::event::{self, Event, EventError};
use crate::resources::MAX_BODY_BYTES;
use crate::store::Content;

/// An event to be sent.
#[derive(Debug)]
pub struct OutgoingEvent {
    /// The event's id.
    pub id: Uuid,
    /// The parts of the trigger that are passed on.
    pub content: Content,
    /// The converted body, if it was needed before. Envelopes that need it convert the body
    /// otherwise.
    pub event: Option<Event>,
    /// What the listener gets in place of the event, if its webhook has a transform.
    pub data: Option<Event>,
}

impl OutgoingEvent {
    /// An event that was not converted yet.
    pub fn new(id: Uuid, content: Content) -> Self {
        Self { id, content, event: None, data: None }
    }

    /// The JSON that the listener gets as the event.
    ///
    /// # Errors
    /// See [`Self::event`].
    pub fn data(&mut self) -> Result<Event, EventError> {
        if let Some(data) = self.data.take() { Ok(data) } else { self.event() }
    }

    /// The JSON of `event`.
    ///
    /// # Errors
    /// The body cannot be decoded or converted. It could when it was accepted, unless its app had
    /// the envelope `Raw` then, or an earlier version of the program was less strict.
    pub fn event(&mut self) -> Result<Event, EventError> {
        if let Some(event) = self.event.take() {
            return Ok(event);
        }
        let Content { form, content_type, headers, body } = &self.content;
        let content_type = content_type.as_ref().map(|value| value.as_bytes());
        let rule = envelope::body_rule(headers);
        event::from_form(*form, &rule, content_type, decoded(headers, body)?)
    }
}

/// The body without content codings: with the envelope `Raw`, it was stored as it was sent.
fn decoded(headers: &HeaderMap, body: &Bytes) -> Result<Bytes, EventError> {
    if body.is_empty() {
        return Ok(Bytes::new());
    }
    let mut body = body.clone();
    let codings = Codings::of(headers).map_err(|_| EventError::Coding)?;
    for coding in codings.to_decode() {
        let mut decoder = Decoder::new(coding, body, MAX_BODY_BYTES as usize);
        while decoder.step().map_err(|_| EventError::Coding)? == Progress::Unfinished {}
        body = decoder.into_output();
    }
    Ok(body)
}
