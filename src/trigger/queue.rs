//! Storing an event: the sender's 2xx is a promise, given when the event is on stable storage.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use ring::digest;
use uuid::Uuid;

use super::filter;
use crate::delivery;
use crate::event::Event;
use crate::http::HttpError;
use crate::routes::{Dedup, DedupBy, Route};
use crate::store::{Content, DuplicateKey, Form, StoreError};
use crate::traces::TraceContext;
use crate::verify::{Input, Verified};

/// When a sender may try again that a full or failing store refused.
const RETRY: Duration = Duration::from_secs(30);

/// What makes a second event the same as this one; `None` where nothing does.
///
/// # Errors
/// 422, when the webhook's expression has no answer. The sender learns no more, the log learns why.
pub fn duplicate_key(
    route: &Route,
    verified: Option<&Verified<'_>>,
    input: &Input<'_>,
    head: &Parts,
    event: &Event,
    id: Uuid,
) -> Result<Option<DuplicateKey>, HttpError> {
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

/// What is kept of a trigger; all its attempts are of one `trace`, whether the sender's or a new one.
pub fn content(
    route: &Route,
    verified: Option<&Verified<'_>>,
    sent: HeaderMap,
    body: Bytes,
    event: &Event,
    trace: &TraceContext,
) -> Content {
    let told = verified.map_or(&[][..], |verified| verified.event_headers());
    let form = if event.is_json_of(&body) { Form::Json } else { Form::Converted };
    let content_type = sent.get(CONTENT_TYPE).cloned();
    let mut headers = delivery::passed_on(&route.binding.forward_headers, told, sent);
    trace.put_in(&mut headers);
    Content { form, content_type, headers, body }
}

/// The sender learns that it should try again; the log has learned why when it happened.
pub fn refused(error: &StoreError) -> HttpError {
    let (reason, message) = match error {
        StoreError::Full => ("store_full", "The event store is full; try again later."),
        StoreError::AppFull => {
            ("app_store_full", "Too many events of this app are stored; try again later.")
        }
        StoreError::Busy => return super::overloaded(),
        StoreError::Failed(_) | StoreError::Rejected(_) => {
            ("store_failed", "The event cannot be stored; try again later.")
        }
    };
    HttpError::unavailable(reason, message, RETRY)
}

/// The answer to a stored event, and to one that was stored before.
pub fn accepted(id: Uuid) -> (StatusCode, String) {
    (StatusCode::ACCEPTED, format!(r#"{{"id":"{id}"}}"#))
}

/// The answer to an event that was stored before, as `first`.
pub fn duplicate(first: Uuid) -> (StatusCode, String) {
    (StatusCode::OK, format!(r#"{{"id":"{first}","duplicate":true}}"#))
}
