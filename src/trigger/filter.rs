//! Which events a webhook's filter lets pass.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use uuid::Uuid;

use crate::event::{self, Event, EventError};
use crate::expression::{EvaluationError, Expression, Inputs, Variable};
use crate::http::HttpError;
use crate::routes::Route;

/// Why a filter has no answer.
#[derive(Debug, thiserror::Error)]
enum FilterError {
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    #[error("the query cannot be read: {0}")]
    Query(EventError),
}

/// Whether an event is passed on: all are, of a webhook without a filter.
///
/// # Errors
/// 422, when the filter has no answer. The sender learns no more, the log learns why.
pub fn passes(route: &Route, head: &Parts, event: &Event, id: Uuid) -> Result<bool, HttpError> {
    let guards = route.binding.guards.as_deref();
    let Some(filter) = guards.and_then(|guards| guards.filter.as_ref()) else { return Ok(true) };
    holds(filter, &route.binding.props, head, event).map_err(|error| {
        tracing::warn!(
            namespace = &*route.app.namespace,
            webhook = &*route.name,
            event = %id,
            %error,
            "the filter of a webhook could not be evaluated"
        );
        HttpError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "filter_error",
            "The webhook's filter could not be evaluated for this event.",
        )
    })
}

fn holds(
    filter: &Expression,
    props: &[u8],
    head: &Parts,
    event: &Event,
) -> Result<bool, FilterError> {
    // What a filter does not look at is not made.
    let headers = if filter.uses(Variable::Headers) { headers(&head.headers) } else { Vec::new() };
    let query = if filter.uses(Variable::Query) { query(head)? } else { Vec::new() };
    let (event, headers, query) = (event.text(), &headers, &query);
    Ok(filter.holds(Inputs { event: &event, headers, props, query })?)
}

/// A map of texts. Several values of one name are one, joined by ", " (RFC 9110, section 5.3); bytes that
/// are not UTF-8 become U+FFFD.
fn headers(headers: &HeaderMap) -> Vec<u8> {
    let mut map: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        match map.get_mut(name.as_str()) {
            Some(joined) => joined.extend([", ", &value]),
            None => drop(map.insert(name.as_str(), value.into_owned())),
        }
    }
    // A map of texts serializes.
    serde_json::to_vec(&map).unwrap_or_default()
}

/// As a form is an event: a map of texts, and lists of them for repeated names.
fn query(head: &Parts) -> Result<Vec<u8>, FilterError> {
    let query = Bytes::copy_from_slice(head.uri.query().unwrap_or_default().as_bytes());
    let form = Some(&b"application/x-www-form-urlencoded"[..]);
    let map = event::from_body(form, query).map_err(FilterError::Query)?;
    Ok(Cow::into_owned(map.text()))
}
