//! The envelope `CloudEvent`: a CloudEvent 1.0 in structured mode, as JSON (CloudEvents, JSON event
//! format 1.0.2). A trigger that is itself a CloudEvent keeps its own attributes.

use http::HeaderValue;

use super::{Enveloped, json, json_string};
use crate::delivery::{OutgoingEvent, Pieces, Subject};
use crate::event::cloud_event::{self, Attribute, CloudEvent, MEDIA_TYPE, Member};
use crate::event::{Event, EventError, MediaType};
use crate::moment::Moment;
use crate::routes::path;
use crate::store::ids;

/// The extension attribute with the props as JSON text. It is always the operator's own: a sender
/// cannot set it.
const PROPS: &str = "webhookprops";

/// The attribute with the schema of `data`, which is not that of transformed data.
const SCHEMA: &str = "dataschema";

/// The type of `data`: an event is always JSON.
const DATA_TYPE: &str = "application/json";

/// Creates the request.
pub fn wrap(subject: Subject<'_>, mut outgoing: OutgoingEvent) -> Result<Enveloped, EventError> {
    let event = outgoing.event()?;
    let content = &outgoing.content;
    let content_type = content.content_type.as_ref();
    let sent = cloud_event::read(content_type.map(HeaderValue::as_bytes), &content.headers, &event);
    let data = outgoing.data.as_ref().unwrap_or(&event);
    let is_transformed = outgoing.data.is_some();
    let mut object = Object::new(data, subject.props.len());
    match sent {
        Some(CloudEvent::Structured(members)) if is_transformed => {
            let attributes = members.iter().filter(|member| !is_of_data(&member.name));
            object.members(&event, attributes);
            object.text("datacontenttype", DATA_TYPE);
            object.data(data);
        }
        Some(CloudEvent::Structured(members)) => object.members(&event, members.iter()),
        Some(CloudEvent::Binary(attributes)) => {
            let attributes = attributes.iter().filter(|own| !is_transformed || own.name != SCHEMA);
            object.attributes(attributes);
            let data_type = if is_transformed { DATA_TYPE } else { json_type(content_type) };
            object.text("datacontenttype", data_type);
            object.data(data);
        }
        None => {
            let accepted: Moment = ids::moment(outgoing.id);
            object.text("specversion", "1.0");
            object.text("id", &outgoing.id.to_string());
            object.text("source", &path::of(subject.id()));
            object.text("type", subject.action);
            object.text("time", &accepted.to_string());
            object.text("datacontenttype", DATA_TYPE);
            object.data(data);
        }
    }
    object.props(subject);
    Ok(json(MEDIA_TYPE, object.end(), outgoing.content.headers))
}

/// Whether a member has the data, or describes it.
fn is_of_data(name: &str) -> bool {
    matches!(name, "data" | "data_base64" | "datacontenttype" | SCHEMA)
}

/// The sender's content type if it is one of JSON. Other bodies were converted to JSON.
fn json_type(content_type: Option<&HeaderValue>) -> &str {
    let is_json = |value: &&HeaderValue| MediaType::of(value.as_bytes()) == MediaType::Json;
    content_type.filter(is_json).and_then(|value| value.to_str().ok()).unwrap_or(DATA_TYPE)
}

/// A JSON object that is being written.
struct Object(Pieces);

impl Object {
    fn new(event: &Event, props_len: usize) -> Self {
        // Enough for the attributes that the operator sets, with an action of usual length.
        let capacity = 384 + props_len + Pieces::capacity_for(&event.body);
        Self(Pieces::with_capacity(capacity))
    }

    fn name(&mut self, name: &str) {
        self.0.push_slice(if self.0.is_empty() { b"{" } else { b"," });
        self.0.push_slice(&json_string(name));
        self.0.push_slice(b":");
    }

    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.0.push_slice(&json_string(value));
    }

    fn data(&mut self, event: &Event) {
        self.name("data");
        self.0.push_event(event);
    }

    fn attributes<'m>(&mut self, attributes: impl Iterator<Item = &'m Attribute<'m>>) {
        for Attribute { name, value } in attributes.filter(|own| own.name != PROPS) {
            self.text(name, value);
        }
    }

    /// Copies members of an event's body.
    fn members<'m>(&mut self, event: &Event, members: impl Iterator<Item = &'m Member<'m>>) {
        for Member { name, value } in members.filter(|member| member.name != PROPS) {
            self.name(name);
            self.0.push(&event.body.slice_ref(value.get().as_bytes()));
        }
    }

    /// Adds the props. CloudEvents has no attributes that are null, so absent props are left out.
    fn props(&mut self, subject: Subject<'_>) {
        if **subject.props != *b"null" {
            self.text(PROPS, &String::from_utf8_lossy(subject.props));
        }
    }

    /// The whole object, which has at least the required attributes.
    fn end(mut self) -> Pieces {
        self.0.push_slice(b"}");
        self.0
    }
}
