//! What follows from an attempt.

use std::time::Duration;

use super::{LONGEST_RETRY_AFTER, Next, Policy, Reason};
use crate::moment::Moment;

/// How an attempt went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The listener answered.
    Answered {
        /// The status of its answer.
        status: u16,
        /// How long it asks to be left alone: see [`super::retry_after`].
        retry_after: Option<Duration>,
    },
    /// It did not: no connection, a connection that broke, no answer in time.
    Failed,
}

/// What follows from the attempt of a number (from 1) that ended `now`, of a delivery that begun at a
/// moment. `chance` is where in its jitter the wait is to be, from -1 to 1.
///
/// A `Retry-After` makes a wait longer, never shorter, and at most [`LONGEST_RETRY_AFTER`].
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
        Outcome::Answered { status, .. } if !is_worth_another(status) => {
            return Next::Dead(Reason::Rejected);
        }
        Outcome::Answered { retry_after, .. } => retry_after.unwrap_or_default(),
        Outcome::Failed => Duration::ZERO,
    };
    if number >= policy.max_attempts {
        return Next::Dead(Reason::AttemptsUsedUp);
    }
    let due = now + policy.wait(number, chance).max(retry_after.min(LONGEST_RETRY_AFTER));
    // An attempt that would come too late is not waited for.
    if policy.max_age.is_some_and(|max_age| due > begun + max_age) {
        return Next::Dead(Reason::TooOld);
    }
    Next::Retry(due)
}

/// Whether an outcome is a sign that the listener is down: it says nothing about this event, but about
/// all of them. Any other answer shows that it is up.
pub fn is_listener_failing(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Answered { status, .. } => matches!(status, 429 | 500..=599),
        Outcome::Failed => true,
    }
}

/// Whether the same request may be answered otherwise later: timeout (408), conflict (409), too early
/// (425), too many (429), and everything that is the server's fault. A redirect is not followed, and
/// would be answered again.
fn is_worth_another(status: u16) -> bool {
    matches!(status, 408 | 409 | 425 | 429 | 500..=599)
}
