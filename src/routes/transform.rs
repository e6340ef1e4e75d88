//! The transform of a webhook.

use std::sync::Arc;

use crate::expression::Expression;

/// The maximum length of props that a transform may read, in bytes: each event stores them.
pub const MAX_TRANSFORM_PROPS_BYTES: usize = 32 * 1024;

/// What a webhook's events are converted by before its listener gets them.
#[derive(Clone, Debug, PartialEq)]
pub enum Transform {
    /// `spec.transform`.
    Compiled(Arc<Expression>),
    /// It does not compile. Stored events wait for a correction: untransformed, they may have what the
    /// listener must not get.
    Invalid,
}
