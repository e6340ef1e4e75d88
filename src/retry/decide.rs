//! Decides how a delivery continues after an attempt.

use std::time::Duration;

use super::{DeadReason, LONGEST_RETRY_AFTER, Next, Policy};
use crate::moment::Moment;

/// The result of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The listener responded.
    Answered {
        /// The status of the response.
        status: u16,
        /// The wait that it requests, see [`super::retry_after`].
        retry_after: Option<Duration>,
    },
    /// No response: the connection failed or broke, or the attempt timed out.
    Failed,
    /// The listener was not called, as the webhook's transform failed. It may be corrected.
    TransformFailed,
}

/// Decides how a delivery that began at `begun` continues after its attempt `number` (from 1),
/// which ended at `now`. `chance` selects the jitter, from -1 to 1.
///
/// `Retry-After` can make a wait longer, never shorter, and at most [`LONGEST_RETRY_AFTER`].
pub fn decide(
    policy: &Policy,
    outcome: Outcome,
    number: u32,
    begun: Moment,
    now: Moment,
    chance: f64,
) -> Next {
    let retry_after = match outcome {
        Outcome::Answered { status: 200..=299, .. } => return Next::Succeeded,
        Outcome::Answered { status, .. } if !is_retryable(status) => {
            return Next::Dead(DeadReason::Rejected);
        }
        Outcome::Answered { retry_after, .. } => retry_after.unwrap_or_default(),
        Outcome::Failed | Outcome::TransformFailed => Duration::ZERO,
    };
    let dead = |reason| {
        let is_untransformed = outcome == Outcome::TransformFailed;
        Next::Dead(if is_untransformed { DeadReason::TransformFailed } else { reason })
    };
    if number >= policy.max_attempts {
        return dead(DeadReason::AttemptsUsedUp);
    }
    let due = now + policy.wait(number, chance).max(retry_after.min(LONGEST_RETRY_AFTER));
    // Give up now if the next attempt would exceed the maximum age.
    if policy.max_age.is_some_and(|max_age| due > begun + max_age) {
        return dead(DeadReason::TooOld);
    }
    Next::Retry(due)
}

/// Whether a result indicates that the listener is down, and so concerns all events and not just
/// this one. Any other response shows that it is up.
pub fn is_listener_failing(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Answered { status, .. } => matches!(status, 429 | 500..=599),
        Outcome::Failed => true,
        Outcome::TransformFailed => false,
    }
}

/// Whether a retry may get another response: timeout (408), conflict (409), too early (425), too
/// many requests (429), and server errors. Redirects are not followed, and a retry would get the
/// same redirect.
fn is_retryable(status: u16) -> bool {
    matches!(status, 408 | 409 | 425 | 429 | 500..=599)
}
