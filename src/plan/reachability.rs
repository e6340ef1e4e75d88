//! Reachability of an app's listener, as the attempts of its queue show.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use crate::moment::Moment;
use crate::resources::conditions::LISTENER_REACHABLE;
use crate::resources::reason::ListenerReason;

/// Reachability of a listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reachability {
    /// No attempt was made yet.
    #[default]
    Unknown,
    /// The listener answers.
    Reachable,
    /// Consecutive attempts failed.
    Unreachable {
        /// Time of the first failure in the row.
        since: Moment,
        /// Error of the last failure; contains neither secrets nor URLs.
        why: String,
        /// Number of failures in a row at the time of this report.
        failures: u32,
    },
}

/// Reachability of a listener, and since when.
#[derive(Debug, Default)]
pub(super) struct Reached {
    reachability: Reachability,
    since: Timestamp,
}

impl Reached {
    /// Records a report; returns whether it differs from the last one.
    pub fn learn(&mut self, found: Reachability, now: Timestamp) -> bool {
        if self.status() != status(&found) {
            self.since = Timestamp::from_second(now.as_second()).unwrap_or(now);
        }
        let before = std::mem::replace(&mut self.reachability, found);
        before != self.reachability
    }

    /// The last report.
    pub fn found(&self) -> &Reachability {
        &self.reachability
    }

    /// The condition [`LISTENER_REACHABLE`] of the app's status; `None` while unknown.
    pub fn condition(&self, generation: i64) -> Option<Condition> {
        let (reason, message) = match &self.reachability {
            Reachability::Unknown => return None,
            Reachability::Reachable => (ListenerReason::Answered, "The listener answers".into()),
            Reachability::Unreachable { since, why, failures } => (
                ListenerReason::NotAnswering,
                format!(
                    "failing since {since}, {failures} attempts in a row; the last one: {why}. Queued events wait, and one of them is tried from time to time"
                ),
            ),
        };
        Some(Condition {
            type_: LISTENER_REACHABLE.into(),
            status: self.status()?.into(),
            reason: reason.as_str().into(),
            message,
            observed_generation: Some(generation),
            last_transition_time: Time(self.since),
        })
    }

    /// Whether the listener answers, with a message; `None` while unknown.
    pub fn answer(&self) -> Option<(bool, String)> {
        let condition = self.condition(0)?;
        Some((condition.status == "True", condition.message))
    }

    fn status(&self) -> Option<&'static str> {
        status(&self.reachability)
    }
}

/// The status of the condition.
fn status(reachability: &Reachability) -> Option<&'static str> {
    match reachability {
        Reachability::Unknown => None,
        Reachability::Reachable => Some("True"),
        Reachability::Unreachable { .. } => Some("False"),
    }
}
