//! Expressions of a webhook's spec, compiled for use.

use std::sync::Arc;

use super::guards::Fault;
use crate::expression::{Expression, Variable};
use crate::resources::reason::StalledReason;
use crate::routes::{MAX_TRANSFORM_PROPS_BYTES, Transform};

/// How much of an expression a message repeats, in characters.
const EXCERPT: usize = 40;

/// Compiles the expression of a field.
///
/// # Errors
/// The mistake, with its line and column, and what the expression has there.
pub(super) fn compiled(
    source: &str,
    field: &str,
    reason: StalledReason,
) -> Result<Arc<Expression>, Fault> {
    let compiled = Expression::compile(source).map_err(|error| {
        let excerpt = match error.position.excerpt(source, EXCERPT) {
            "" => String::new(),
            excerpt => format!(", at `{excerpt}`"),
        };
        Fault { reason, message: format!("{field} does not compile: {error}{excerpt}") }
    })?;
    Ok(Arc::new(compiled))
}

/// Compiles `spec.transform`.
///
/// # Errors
/// The mistake.
pub(super) fn transform(source: &str, props: &[u8]) -> Result<Transform, Fault> {
    let reason = StalledReason::InvalidTransform;
    let expression = compiled(source, "spec.transform", reason)?;
    if expression.uses(Variable::Props) && props.len() > MAX_TRANSFORM_PROPS_BYTES {
        let message = format!(
            "spec.transform reads props, which are stored with each event then, and may have at \
             most {MAX_TRANSFORM_PROPS_BYTES} bytes; they have {}",
            props.len()
        );
        return Err(Fault { reason, message });
    }
    Ok(Transform::Compiled(expression))
}
