//! An event on its way to a listener.

use uuid::Uuid;

use crate::event::{self, Event, EventError};
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
}

impl OutgoingEvent {
    /// The JSON of `event`.
    ///
    /// # Errors
    /// The body cannot be converted. It could when it was accepted, unless its app had the envelope
    /// `Raw` then, or an earlier version of the program was less strict.
    pub fn event(&mut self) -> Result<Event, EventError> {
        if let Some(event) = self.event.take() {
            return Ok(event);
        }
        let Content { form, content_type, body, .. } = &self.content;
        let content_type = content_type.as_ref().map(|value| value.as_bytes());
        event::from_form(*form, content_type, body.clone())
    }
}
