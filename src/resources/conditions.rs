//! The conditions of a resource: the three of kstatus, and their names.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

/// The type of the condition that says whether an object works.
pub const READY: &str = "Ready";

/// The type of the condition that says whether an object waits for somebody to change something.
pub const STALLED: &str = "Stalled";

/// The types that the operator sets, in the order in which it writes them.
pub const TYPES: [&str; 3] = [READY, "Reconciling", STALLED];

/// The type of an app's condition that says whether its listener answers.
pub const LISTENER_REACHABLE: &str = "ListenerReachable";

/// The reason for which a webhook of an app that does not exist is not ready.
pub const APP_NOT_FOUND: &str = "AppNotFound";

/// What the operator found about one object, for people and for `kubectl wait`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It works.
    Ready {
        /// One sentence.
        message: String,
    },
    /// It is being found out.
    Reconciling {
        /// One sentence.
        message: String,
    },
    /// It was told not to work.
    Suspended,
    /// It cannot work until somebody changes something.
    Stalled {
        /// A CamelCase word for programs.
        reason: &'static str,
        /// One sentence that says what to do.
        message: String,
    },
}

impl Verdict {
    /// A mistake that waits for a change by a person.
    pub fn stalled(reason: &'static str, message: impl Into<String>) -> Self {
        Self::Stalled { reason, message: message.into() }
    }

    /// Whether triggers are taken.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready { .. })
    }

    /// The reason of the `Ready` condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Ready { .. } => "Succeeded",
            Self::Reconciling { .. } => "Progressing",
            Self::Suspended => "Suspended",
            Self::Stalled { reason, .. } => reason,
        }
    }

    /// The message of the `Ready` condition.
    pub fn message(&self) -> &str {
        match self {
            Self::Ready { message }
            | Self::Reconciling { message }
            | Self::Stalled { message, .. } => message,
            Self::Suspended => "spec.suspend is true: triggers are answered 503",
        }
    }

    /// The statuses of [`TYPES`], in their order.
    pub fn statuses(&self) -> [bool; 3] {
        let is_reconciling = matches!(self, Self::Reconciling { .. });
        [self.is_ready(), is_reconciling, matches!(self, Self::Stalled { .. })]
    }

    /// The conditions; `since` gives the moment at which each of [`TYPES`] took its present status.
    pub fn conditions(&self, generation: i64, since: [Timestamp; 3]) -> Vec<Condition> {
        let statuses = self.statuses();
        (0..TYPES.len())
            .map(|i| Condition {
                type_: TYPES[i].into(),
                status: if statuses[i] { "True" } else { "False" }.into(),
                reason: self.reason().into(),
                message: self.message().into(),
                observed_generation: Some(generation),
                last_transition_time: Time(since[i]),
            })
            .collect()
    }
}
