//! Stores events. A 2xx response is a promise to the sender: it is sent once the event is on stable
//! storage.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use ring::digest;
use uuid::Uuid;

use super::{Rejection, filter};
use crate::delivery;
use crate::event::Event;
use crate::routes::{Dedup, DedupBy, Route, TriggerOutcome};
use crate::store::{Content, DuplicateKey, Form, StoreError};
use crate::traces::TraceContext;
use crate::verify::{Input, Verified};

/// The `Retry-After` if the store is full or fails.
const RETRY: Duration = Duration::from_secs(30);

/// The key that identifies duplicates of an event; `None` without deduplication or without a key in
/// the request.
///
/// # Errors
/// 422, if the webhook's expression cannot be evaluated. The cause is only logged.
pub fn duplicate_key(
    route: &Route,
    verified: Option<&Verified<'_>>,
    input: &Input<'_>,
    head: &Parts,
    event: &Event,
    id: Uuid,
) -> Result<Option<DuplicateKey>, Rejection> {
    let Some(Dedup { by, window }) = route.binding.delivery.dedup.as_deref() else {
        return Ok(None);
    };
    let key = |bytes: &[u8]| Some(DuplicateKey { hash: hash(bytes), window: *window });
    Ok(match by {
        DedupBy::Header(name) => head.headers.get(name).and_then(|value| key(value.as_bytes())),
        DedupBy::Provider => {
            let id = verified.and_then(|verified| verified.delivery_id(input));
            id.and_then(|id| key(id.as_bytes()))
        }
        DedupBy::Key(expression) => {
            let text = filter::text(expression, route, head, event, id)?;
            key(text.as_bytes())
        }
    })
}

fn hash(key: &[u8]) -> [u8; 16] {
    let digest = digest::digest(&digest::SHA256, key);
    std::array::from_fn(|i| digest.as_ref()[i])
}

/// The stored content of a trigger. All its delivery attempts belong to `trace`, which is the
/// sender's or a new one.
pub fn content(
    route: &Route,
    verified: Option<&Verified<'_>>,
    sent: HeaderMap,
    body: Bytes,
    event: &Event,
    trace: &TraceContext,
) -> Content {
    let event_headers = verified.map_or(&[][..], |verified| verified.event_headers());
    let form = if event.is_json_of(&body) { Form::Json } else { Form::Converted };
    let content_type = sent.get(CONTENT_TYPE).cloned();
    let mut headers = delivery::passed_on(&route.binding.forward_headers, event_headers, sent);
    trace.put_in(&mut headers);
    Content { form, content_type, headers, body }
}

/// The error response if the store rejects an event. The store has already logged the cause.
pub fn refused(error: &StoreError) -> Rejection {
    let (outcome, message) = match error {
        StoreError::Full => {
            (TriggerOutcome::StoreFull, "The event store is full; try again later.")
        }
        StoreError::AppFull => (
            TriggerOutcome::AppStoreFull,
            "Too many events of this app are stored; try again later.",
        ),
        StoreError::Busy => return super::overloaded(),
        StoreError::Failed(_) | StoreError::Rejected(_) => {
            (TriggerOutcome::StoreFailed, "The event cannot be stored; try again later.")
        }
    };
    Rejection::unavailable(outcome, message, RETRY)
}

/// The response to a stored event.
pub fn accepted(id: Uuid) -> (StatusCode, String) {
    (StatusCode::ACCEPTED, format!(r#"{{"id":"{id}"}}"#))
}

/// The response to a duplicate of the stored event `first`.
pub fn duplicate(first: Uuid) -> (StatusCode, String) {
    (StatusCode::OK, format!(r#"{{"id":"{first}","duplicate":true}}"#))
}
