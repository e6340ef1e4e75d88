//! Transforms: the object that the listener gets in place of `event`.
//!
//! A transform is evaluated when the event is accepted, to reject what it fails for, and again at
//! each attempt, from the stored original and with the webhook's expression of that time. So a
//! replay after a correction of the expression works. Other inputs are the same each time: what the
//! expression reads is stored among the event's headers, under names that are never sent. `headers`
//! has no credentials, as these are not stored.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::OutgoingEvent;
use super::inputs::{accepted_at, headers_text, query_text};
use crate::event::{Event, EventError, Form};
use crate::expression::{EvaluationFailure, Expression, Inputs, JsonObject, Variable};
use crate::http::is_secret;
use crate::resources::{Envelope, MAX_BODY_BYTES};
use crate::routes::{Route, Transform};

/// The expression with which the event was accepted. It is used once the webhook is deleted.
const EXPRESSION: HeaderName = HeaderName::from_static("webhook-transform");
/// `headers`, as JSON.
const HEADERS: HeaderName = HeaderName::from_static("webhook-transform-headers");
/// The query string.
const QUERY: HeaderName = HeaderName::from_static("webhook-transform-query");
/// `props`, as JSON.
const PROPS: HeaderName = HeaderName::from_static("webhook-transform-props");

/// The reason why a listener cannot get a transformed event. No text has data of the event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransformError {
    /// The expression does not compile.
    #[error("spec.transform does not compile")]
    Invalid,
    /// The envelope has no event.
    #[error("spec.transform cannot be applied: the envelope Raw passes the sender's body")]
    RawEnvelope,
    /// The body cannot be converted to an event.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The evaluation failed.
    #[error("spec.transform failed at {0}")]
    Evaluation(#[from] EvaluationFailure),
    /// The expression reads a variable that the expression at acceptance did not read.
    #[error("spec.transform reads {0}, which was not stored when the event was accepted")]
    NotStored(&'static str),
    /// There is no memory for the result, which has this length in bytes.
    #[error("no memory for the {0} bytes that spec.transform gives")]
    NoMemory(usize),
}

/// A transform, and what it needs of its webhook.
#[derive(Clone, Debug)]
pub struct Transformation {
    transform: Transform,
    /// The maximum length of the result, in bytes.
    limit: usize,
}

impl Transformation {
    /// The transform of a webhook, if it has one. Its result may be as long as a body.
    pub fn of(route: &Route) -> Option<Self> {
        let transform = route.binding.transform.clone()?;
        Some(Self { transform, limit: route.binding.max_body_bytes as usize })
    }

    /// The transform of an event whose webhook was deleted.
    pub fn stored(headers: &HeaderMap) -> Option<Self> {
        let source = headers.get(EXPRESSION)?;
        let source: Option<String> = serde_json::from_slice(source.as_bytes()).ok();
        let expression = source.and_then(|source| Expression::compile(&source).ok());
        let compiled = |expression| Transform::Compiled(Arc::new(expression));
        let transform = expression.map_or(Transform::Invalid, compiled);
        Some(Self { transform, limit: MAX_BODY_BYTES as usize })
    }

    /// Checks that the transform gives an object. `props` are those of the webhook now, for an
    /// event that was accepted with an expression that did not read them.
    ///
    /// # Errors
    /// See [`TransformError`].
    pub fn check(
        &self,
        envelope: Envelope,
        props: &Bytes,
        outgoing: &mut OutgoingEvent,
    ) -> Result<(), TransformError> {
        self.evaluate(envelope, props, outgoing, |_| Ok(()))
    }

    /// Transforms an event for its listener, see [`Self::check`]. `reserve` reserves memory for a
    /// number of bytes; false if there is none.
    ///
    /// # Errors
    /// See [`TransformError`].
    pub fn apply(
        &self,
        envelope: Envelope,
        props: &Bytes,
        outgoing: &mut OutgoingEvent,
        reserve: impl FnOnce(usize) -> bool,
    ) -> Result<(), TransformError> {
        let data = self.evaluate(envelope, props, outgoing, |object| {
            let is_reserved = reserve(object.len());
            if is_reserved {
                Ok(object.to_vec())
            } else {
                Err(TransformError::NoMemory(object.len()))
            }
        })?;
        outgoing.data = Some(Event::whole(data, Form::Converted));
        Ok(())
    }

    fn evaluate<T>(
        &self,
        envelope: Envelope,
        props: &Bytes,
        outgoing: &mut OutgoingEvent,
        then: impl FnOnce(JsonObject<'_>) -> Result<T, TransformError>,
    ) -> Result<T, TransformError> {
        let Transform::Compiled(expression) = &self.transform else {
            return Err(TransformError::Invalid);
        };
        if envelope == Envelope::Raw {
            return Err(TransformError::RawEnvelope);
        }
        let event = outgoing.event()?;
        // The envelope may need it, too.
        outgoing.event = Some(event.clone());
        let stored = &outgoing.content.headers;
        let (headers, query) = (read_headers(expression, stored)?, read_query(expression, stored)?);
        let props = stored.get(PROPS).map_or(&**props, HeaderValue::as_bytes);
        let (event, now) = (event.text(), accepted_at(outgoing.id));
        let inputs = Inputs { event: &event, headers, props, query: &query, now };
        then(expression.object(inputs, self.limit)?)
    }
}

/// `headers`, if the expression reads them.
fn read_headers<'a>(
    expression: &Expression,
    stored: &'a HeaderMap,
) -> Result<&'a [u8], TransformError> {
    if !expression.uses(Variable::Headers) {
        return Ok(b"{}");
    }
    let headers = stored.get(HEADERS).ok_or(TransformError::NotStored("headers"))?;
    Ok(headers.as_bytes())
}

/// `query`, if the expression reads it.
fn read_query(expression: &Expression, stored: &HeaderMap) -> Result<Vec<u8>, TransformError> {
    if !expression.uses(Variable::Query) {
        return Ok(b"{}".to_vec());
    }
    let query = stored.get(QUERY).ok_or(TransformError::NotStored("query"))?;
    Ok(query_text(&String::from_utf8_lossy(query.as_bytes()))?)
}

/// What a webhook's transform needs of a trigger, to be added to the headers that are stored.
/// The length of each value is bounded: by the limit of a request's head, or
/// [`crate::routes::MAX_TRANSFORM_PROPS_BYTES`].
pub fn inputs(route: &Route, sent: &HeaderMap, query: Option<&str>) -> HeaderMap {
    let mut inputs = HeaderMap::new();
    let Some(Transform::Compiled(expression)) = &route.binding.transform else { return inputs };
    let mut insert = |name: HeaderName, bytes: Vec<u8>| {
        // Cannot fail: JSON has no control characters, and neither has a query string.
        if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(bytes)) {
            inputs.insert(name, value);
        }
    };
    // Serializing a string cannot fail.
    let source = serde_json::to_vec(expression.source()).unwrap_or_default();
    insert(EXPRESSION, without_delete(&source));
    if expression.uses(Variable::Headers) {
        insert(HEADERS, without_delete(&headers_text(sent, |name| !is_secret(name))));
    }
    if expression.uses(Variable::Query) {
        insert(QUERY, query.unwrap_or_default().into());
    }
    if expression.uses(Variable::Props) {
        insert(PROPS, without_delete(&route.binding.props));
    }
    inputs
}

/// JSON without the control character DEL, which is valid in JSON strings but not in header values.
fn without_delete(json: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(json.len());
    for byte in json {
        match byte {
            0x7f => escaped.extend_from_slice(b"\\u007f"),
            byte => escaped.push(*byte),
        }
    }
    escaped
}

/// The names under which inputs of a transform are stored.
pub const INPUTS: [HeaderName; 4] = [EXPRESSION, HEADERS, QUERY, PROPS];

/// Whether a stored header is an input of a transform.
pub fn is_input(name: &str) -> bool {
    INPUTS.iter().any(|input| input == name)
}
