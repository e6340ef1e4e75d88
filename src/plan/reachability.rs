//! Whether an app's listener answers, as the attempts of its queue tell.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use crate::moment::Moment;
use crate::resources::conditions::LISTENER_REACHABLE;

/// What is known of a listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reachability {
    /// Nothing was attempted yet.
    #[default]
    Unknown,
    /// It answers.
    Reachable,
    /// Attempt after attempt failed.
    Unreachable {
        /// When the first of them failed.
        since: Moment,
        /// How the last one failed; neither a secret nor a URL is in it.
        why: String,
        /// How many there were when this was found.
        failures: u32,
    },
}

/// What is known of a listener, and since when.
#[derive(Debug, Default)]
pub(super) struct Reached {
    reachability: Reachability,
    since: Timestamp,
}

impl Reached {
    /// Takes in what was found; says whether it is anything new.
    pub fn learn(&mut self, found: Reachability, now: Timestamp) -> bool {
        if self.status() != status(&found) {
            self.since = Timestamp::from_second(now.as_second()).unwrap_or(now);
        }
        let before = std::mem::replace(&mut self.reachability, found);
        before != self.reachability
    }

    /// What was found last.
    pub fn found(&self) -> &Reachability {
        &self.reachability
    }

    /// What the app's status says of it; nothing while nothing is known.
    pub fn condition(&self, generation: i64) -> Option<Condition> {
        let (reason, message) = match &self.reachability {
            Reachability::Unknown => return None,
            Reachability::Reachable => ("Answered", "the listener answers".into()),
            Reachability::Unreachable { since, why, failures } => (
                "NotAnswering",
                format!(
                    "failing since {since}, {failures} attempts in a row; the last one: {why}. Queued events wait, and one of them is tried from time to time"
                ),
            ),
        };
        Some(Condition {
            type_: LISTENER_REACHABLE.into(),
            status: self.status()?.into(),
            reason: reason.into(),
            message,
            observed_generation: Some(generation),
            last_transition_time: Time(self.since),
        })
    }

    /// Whether the listener answers, and what there is to say about it; nothing while nothing is known.
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
