//! Evaluates a webhook's filter.

use std::borrow::Cow;
use std::collections::BTreeMap;

use http::request::Parts;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use uuid::Uuid;

use super::Rejection;
use super::event::TriggerEvent;
use crate::event::{self, Event, EventError};
use crate::expression::{EvaluationError, Expression, Inputs, Variable};
use crate::routes::{Route, TriggerOutcome};

/// The reason why an expression has no result.
#[derive(Debug, thiserror::Error)]
enum FilterError {
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    #[error("invalid query string: {0}")]
    Query(EventError),
}

/// Whether the event passes the webhook's filter; true without a filter.
///
/// # Errors
/// 422, if the filter cannot be evaluated. The cause is only logged. 400, if the body gives no
/// event.
pub fn passes(
    route: &Route,
    head: &Parts,
    event: &TriggerEvent,
    id: Uuid,
) -> Result<bool, Rejection> {
    let guards = route.binding.guards.as_deref();
    let Some(filter) = guards.and_then(|guards| guards.filter.as_ref()) else { return Ok(true) };
    let event = event.get()?;
    with_inputs(filter, route, head, event, id, |inputs| filter.holds(inputs)).map_err(|error| {
        log_failure(route, id, &error, "cannot evaluate the filter");
        Rejection::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            TriggerOutcome::FilterError,
            "The webhook's filter could not be evaluated for this event.",
        )
    })
}

/// Evaluates an expression to text.
///
/// # Errors
/// 422, if it cannot be evaluated. The cause is only logged. 400, if the body gives no event.
pub fn text(
    expression: &Expression,
    route: &Route,
    head: &Parts,
    event: &TriggerEvent,
    id: Uuid,
) -> Result<String, Rejection> {
    let event = event.get()?;
    let evaluate = |inputs: Inputs<'_>| expression.text(inputs);
    with_inputs(expression, route, head, event, id, evaluate).map_err(|error| {
        log_failure(route, id, &error, "cannot evaluate the duplicate key");
        Rejection::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            TriggerOutcome::DedupError,
            "The webhook's duplicate key could not be evaluated for this event.",
        )
    })
}

fn log_failure(route: &Route, id: Uuid, error: &FilterError, what: &str) {
    let (namespace, webhook) = (&*route.app.namespace, &*route.name);
    tracing::warn!(namespace, webhook, event = %id, %error, "{what}");
}

fn with_inputs<T>(
    expression: &Expression,
    route: &Route,
    head: &Parts,
    event: &Event,
    id: Uuid,
    evaluate: impl FnOnce(Inputs<'_>) -> Result<T, EvaluationError>,
) -> Result<T, FilterError> {
    // Inputs that the expression does not use are not built.
    let uses = |variable| expression.uses(variable);
    let headers = if uses(Variable::Headers) { headers(&head.headers) } else { Vec::new() };
    let query = if uses(Variable::Query) { query(head)? } else { Vec::new() };
    let (event, headers, query) = (event.text(), &headers, &query);
    let props = &route.binding.props;
    Ok(evaluate(Inputs { event: &event, headers, props, query, now: accepted_at(id) })?)
}

/// The time of acceptance: the one in the event's id, so that it is the same at each evaluation.
fn accepted_at(id: Uuid) -> Timestamp {
    let time = id.get_timestamp().map(|time| time.to_unix());
    let time = time.and_then(|(seconds, nanoseconds)| {
        let seconds = i64::try_from(seconds).ok()?;
        Timestamp::new(seconds, i32::try_from(nanoseconds).ok()?).ok()
    });
    time.unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The headers as a JSON object of strings. Repeated headers are joined by ", " (RFC 9110, section
/// 5.3). A value that is not UTF-8 is ISO-8859-1, so that different values stay different.
fn headers(headers: &HeaderMap) -> Vec<u8> {
    let mut map: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = match std::str::from_utf8(value.as_bytes()) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => value.as_bytes().iter().map(|byte| char::from(*byte)).collect(),
        };
        match map.get_mut(name.as_str()) {
            Some(joined) => joined.extend([", ", &value]),
            None => drop(map.insert(name.as_str(), value.into_owned())),
        }
    }
    // Serializing a map of strings cannot fail.
    serde_json::to_vec(&map).unwrap_or_default()
}

/// The query as a form event: an object of strings, and of lists of strings for repeated names.
fn query(head: &Parts) -> Result<Vec<u8>, FilterError> {
    let query = head.uri.query().unwrap_or_default();
    let map = event::from_query(query).map_err(FilterError::Query)?;
    Ok(Cow::into_owned(map.text()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::Moment;
    use crate::store::Ids;

    #[test]
    fn now_is_the_time_at_which_the_event_got_its_id() {
        let accepted = Timestamp::from_millisecond(1_795_852_800_123).unwrap();
        let id = Ids::default().next(Moment(1_795_852_800_123));
        assert_eq!(accepted_at(id), accepted);
    }
}
