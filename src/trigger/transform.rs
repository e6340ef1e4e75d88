//! Evaluates a webhook's transform when an event is accepted.

use http::StatusCode;
use uuid::Uuid;

use super::{Rejection, overloaded};
use crate::delivery::{OutgoingEvent, TransformError, Transformation};
use crate::expression::{EvaluationError, EvaluationFailure};
use crate::routes::{Route, TriggerOutcome};

/// Checks that the transform works for an event that is to be stored.
///
/// # Errors
/// 422, if it does not. The cause is only logged.
pub fn check(route: &Route, outgoing: &mut OutgoingEvent) -> Result<(), Rejection> {
    let Some(transformation) = Transformation::of(route) else { return Ok(()) };
    let id = outgoing.id;
    let checked = transformation.check(route.app.envelope, &route.binding.props, outgoing);
    checked.map_err(|error| rejection(route, id, &error))
}

/// Transforms an event that is sent now. `reserve` reserves memory.
///
/// # Errors
/// 422, if this fails. The cause is only logged. 503, if there is no memory.
pub fn apply(
    route: &Route,
    outgoing: &mut OutgoingEvent,
    reserve: impl FnOnce(usize) -> bool,
) -> Result<(), Rejection> {
    let Some(transformation) = Transformation::of(route) else { return Ok(()) };
    let id = outgoing.id;
    let applied = transformation.apply(route.app.envelope, &route.binding.props, outgoing, reserve);
    applied.map_err(|error| rejection(route, id, &error))
}

fn rejection(route: &Route, id: Uuid, error: &TransformError) -> Rejection {
    if let TransformError::NoMemory(_) = error {
        return overloaded();
    }
    let (namespace, webhook) = (&*route.app.namespace, &*route.name);
    tracing::warn!(namespace, webhook, event = %id, %error, "cannot transform the event");
    let detail = match error {
        // It reveals nothing about the event or the expression to the sender.
        TransformError::Evaluation(EvaluationFailure {
            error: error @ EvaluationError::NotObject(_),
            ..
        }) => format!(": {error}"),
        _ => String::new(),
    };
    Rejection::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        TriggerOutcome::TransformError,
        format!("The webhook's transform could not be evaluated for this event{detail}."),
    )
}
