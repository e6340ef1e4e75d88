//! Stores events. A 2xx response is a promise to the sender: it is sent once the event is on stable
//! storage.

use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use ring::digest;
use uuid::Uuid;

use super::event::TriggerEvent;
use super::{Rejection, filter};
use crate::routes::{Dedup, DedupBy, Route, TriggerOutcome};
use crate::store::{DuplicateKey, StoreError};
use crate::verify::{DeliveryId, Input, Repeats, Verified};

/// The `Retry-After` if the store is full or fails.
const RETRY: Duration = Duration::from_secs(30);

/// The key that identifies duplicates of an event; `None` without deduplication or without an id in
/// the request. A blank id is none: senders that have no id send one.
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
    let hash = match by {
        DedupBy::Header(name) => of_header(name, &head.headers),
        DedupBy::Provider => verified.and_then(|verified| {
            verified.delivery_id(input).map(|id| of_delivery(verified.provider(), &id))
        }),
        DedupBy::Key(expression) => {
            let text = filter::text(expression, route, head, event, id)?;
            let is_id = !text.trim_ascii().is_empty();
            is_id.then(|| hash(["key", expression.source(), &text].map(str::as_bytes)))
        }
    };
    let repeats = repeats(by, verified);
    Ok(hash.map(|hash| DuplicateKey { hash, repeats, window: *window }))
}

/// Who causes repetitions that have the same key. Only the id of a provider says that it is the
/// provider's repetition: other keys may be shared by events that it sends by itself.
fn repeats(by: &DedupBy, verified: Option<&Verified<'_>>) -> Repeats {
    let Some(verified) = verified else { return Repeats::ByItself };
    match by {
        DedupBy::Provider => verified.repeats(),
        DedupBy::Header(name) if verified.has_id_in(name) => verified.repeats(),
        DedupBy::Header(_) | DedupBy::Key(_) => Repeats::ByItself,
    }
}

/// The values of all headers with this name: senders may repeat a header, and the first value alone
/// would be that of other events as well.
fn of_header(name: &HeaderName, headers: &HeaderMap) -> Option<[u8; 16]> {
    let values = || headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let has_id = values().any(|value| !value.trim_ascii().is_empty());
    has_id.then(|| hash([b"header", name.as_str().as_bytes()].into_iter().chain(values())))
}

fn of_delivery(provider: &str, id: &DeliveryId<'_>) -> [u8; 16] {
    let DeliveryId { name, endpoint, id } = id;
    let parts = ["provider", provider, name, id].into_iter().chain(*endpoint);
    hash(parts.map(str::as_bytes))
}

/// The parts with their lengths, so that no two lists of parts are the same bytes. The first part
/// is the kind of key.
fn hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 16] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part);
    }
    let digest = context.finish();
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
        StoreError::Unavailable(_) => {
            (TriggerOutcome::StoreUnavailable, "The event store is unavailable; try again later.")
        }
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

/// The response to a repetition of the stored event `first`, which is delivered again.
pub fn replayed(first: Uuid) -> (StatusCode, String) {
    (StatusCode::ACCEPTED, format!(r#"{{"id":"{first}","replayed":true}}"#))
}

/// The response to a duplicate of the stored event `first`.
pub fn duplicate(first: Uuid) -> (StatusCode, String) {
    (StatusCode::OK, format!(r#"{{"id":"{first}","duplicate":true}}"#))
}
