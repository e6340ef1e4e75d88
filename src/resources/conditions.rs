//! Conditions of a resource: those of kstatus, and the verdict that they are derived from.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use super::reason::{ConditionReason, StalledReason};

/// Condition type: whether the object works.
pub const READY: &str = "Ready";

/// Condition type: whether the object waits for a change by a user.
pub const STALLED: &str = "Stalled";

/// The message of a webhook that is Ready, or its beginning: advice follows after `; `.
pub const ACCEPTING_TRIGGERS: &str = "Accepting triggers";

/// The kstatus condition types, in the order in which the operator writes them.
pub const TYPES: [&str; 3] = [READY, "Reconciling", STALLED];

/// Condition type of an app: whether its listener answers.
pub const LISTENER_REACHABLE: &str = "ListenerReachable";

/// The decision about one object, shown in its conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The object works.
    Ready {
        /// One sentence.
        message: String,
    },
    /// The decision waits for a resource that is being loaded.
    Reconciling {
        /// One sentence.
        message: String,
    },
    /// `spec.suspend` is true.
    Suspended,
    /// The object does not work until a user changes something.
    Stalled {
        /// The reason, for programs.
        reason: StalledReason,
        /// One sentence that says how to fix it.
        message: String,
    },
}

impl Verdict {
    /// A mistake that waits for a change by a user.
    pub fn stalled(reason: StalledReason, message: impl Into<String>) -> Self {
        Self::Stalled { reason, message: message.into() }
    }

    /// Whether the object works. A suspended one does not, although its condition is `Ready`.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready { .. })
    }

    /// Whether the object is stalled for this reason.
    pub fn is_stalled_by(&self, reason: StalledReason) -> bool {
        self.reason() == ConditionReason::Stalled(reason)
    }

    /// The reason of the `Ready` condition.
    pub fn reason(&self) -> ConditionReason {
        match self {
            Self::Ready { .. } => ConditionReason::Succeeded,
            Self::Reconciling { .. } => ConditionReason::Progressing,
            Self::Suspended => ConditionReason::Suspended,
            Self::Stalled { reason, .. } => ConditionReason::Stalled(*reason),
        }
    }

    /// The message of the `Ready` condition.
    pub fn message(&self) -> &str {
        match self {
            Self::Ready { message }
            | Self::Reconciling { message }
            | Self::Stalled { message, .. } => message,
            Self::Suspended => "spec.suspend is true: triggers get 503",
        }
    }

    /// The statuses of [`TYPES`], in the same order. A suspended object is `Ready`: it is as its
    /// spec wants it, and tools that follow kstatus would wait for any other until they time out.
    pub fn statuses(&self) -> [bool; 3] {
        match self {
            Self::Ready { .. } | Self::Suspended => [true, false, false],
            Self::Reconciling { .. } => [false, true, false],
            Self::Stalled { .. } => [false, false, true],
        }
    }

    /// The conditions. `since` holds the last transition time of each of [`TYPES`].
    pub fn conditions(&self, generation: i64, since: [Timestamp; 3]) -> Vec<Condition> {
        let statuses = self.statuses();
        (0..TYPES.len())
            .map(|i| Condition {
                type_: TYPES[i].into(),
                status: if statuses[i] { "True" } else { "False" }.into(),
                reason: self.reason().as_str().into(),
                message: self.message().into(),
                observed_generation: Some(generation),
                last_transition_time: Time(since[i]),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How kstatus reads the conditions of a custom resource (kubernetes-sigs/cli-utils,
    /// "The kstatus library"), for `kubectl wait`-like tools such as Flux and Argo CD.
    fn kstatus(conditions: &[Condition]) -> &'static str {
        let is = |name: &str, status: &str| {
            conditions.iter().any(|found| found.type_ == name && found.status == status)
        };
        match () {
            () if is("Reconciling", "True") => "InProgress",
            () if is(STALLED, "True") => "Failed",
            () if is(READY, "True") => "Current",
            () => "InProgress",
        }
    }

    #[test]
    fn tools_wait_only_for_what_is_in_progress() {
        let message = String::new();
        for (verdict, expected) in [
            (Verdict::Ready { message: message.clone() }, "Current"),
            (Verdict::Suspended, "Current"),
            (Verdict::Reconciling { message }, "InProgress"),
            (Verdict::stalled(StalledReason::Invalid, ""), "Failed"),
        ] {
            let conditions = verdict.conditions(1, [Timestamp::UNIX_EPOCH; 3]);
            assert_eq!(kstatus(&conditions), expected, "{verdict:?}");
            assert_eq!(conditions[0].reason, verdict.reason().as_str());
        }
    }
}
