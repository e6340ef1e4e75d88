//! Stores events. A 2xx response is a promise to the sender: it is sent once the event is on stable
//! storage.

use std::time::Duration;

use http::StatusCode;
use http::request::Parts;
use ring::digest;
use uuid::Uuid;

use super::event::TriggerEvent;
use super::{Rejection, filter};
use crate::routes::{Dedup, DedupBy, Route, TriggerOutcome};
use crate::store::{DuplicateKey, StoreError};
use crate::verify::{Input, Verified};

/// The `Retry-After` if the store is full or fails.
const RETRY: Duration = Duration::from_secs(30);

/// The key that identifies duplicates of an event; `None` without deduplication or without a key in
/// the request.
///
/// # Errors
/// 422, if the webhook's expression cannot be evaluated. The cause is only logged. 400, if it needs
/// an event that the body does not give.
pub fn duplicate_key(
    route: &Route,
    verified: Option<&Verified<'_>>,
    input: &Input<'_>,
    head: &Parts,
    event: &TriggerEvent,
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
