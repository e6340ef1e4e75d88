//! Evaluates a webhook's filter.

use http::StatusCode;
use http::request::Parts;
use uuid::Uuid;

use super::Rejection;
use super::event::TriggerEvent;
use crate::delivery;
use crate::event::{Event, EventError};
use crate::expression::{EvaluationFailure, Expression, Inputs, Variable};
use crate::routes::{Route, TriggerOutcome};

/// The reason why an expression has no result.
#[derive(Debug, thiserror::Error)]
enum FilterError {
    #[error(transparent)]
    Evaluation(#[from] EvaluationFailure),
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
    evaluate: impl FnOnce(Inputs<'_>) -> Result<T, EvaluationFailure>,
) -> Result<T, FilterError> {
    // Inputs that the expression does not use are not built.
    let uses = |variable| expression.uses(variable);
    let headers = if uses(Variable::Headers) {
        delivery::headers_text(&head.headers, |_| true)
    } else {
        Vec::new()
    };
    let query = if uses(Variable::Query) { query(head)? } else { Vec::new() };
    let (event, headers, query) = (event.text(), &headers, &query);
    let props = &route.binding.props;
    Ok(evaluate(Inputs { event: &event, headers, props, query, now: delivery::accepted_at(id) })?)
}

fn query(head: &Parts) -> Result<Vec<u8>, FilterError> {
    delivery::query_text(head.uri.query().unwrap_or_default()).map_err(FilterError::Query)
}
