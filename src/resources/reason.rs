//! The reasons of conditions: a closed vocabulary that users and programs match on.
//!
//! An enum for each, so that the planner, the Events, `status` and docs/status.md cannot disagree
//! about a text. Renaming a variant changes the API: a condition's reason is part of it.

use strum::{EnumString, IntoStaticStr, VariantArray, VariantNames};

/// Reason of the conditions `Ready`, `Reconciling` and `Stalled`, which all three have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantNames)]
pub enum ConditionReason {
    /// The object works.
    Succeeded,
    /// The decision waits for a resource that is being loaded.
    Progressing,
    /// `spec.suspend` is true.
    Suspended,
    /// The object does not work until a user changes something.
    #[strum(transparent)]
    Stalled(StalledReason),
}

impl ConditionReason {
    /// The text in the status.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Why an object does not work until a user changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
pub enum StalledReason {
    /// A Secret of `spec.verify` does not exist, or the operator may not read it.
    SecretNotFound,
    /// A Secret of `spec.verify` does not have the referenced key.
    SecretKeyNotFound,
    /// The value of the referenced key is empty.
    SecretEmpty,
    /// An entry of `spec.verify` cannot be used.
    InvalidVerify,
    /// `spec.filter` does not compile.
    InvalidFilter,
    /// `spec.dedup.key` does not compile.
    InvalidDedupKey,
    /// `spec.transform` does not compile, or cannot be applied with the envelope of the app.
    InvalidTransform,
    /// A field has a value that the schema of the CRD normally rejects.
    Invalid,
    /// The app of the webhook does not exist.
    AppNotFound,
    /// The app of the webhook is not ready.
    AppNotReady,
    /// Another object has the same UUID.
    #[strum(serialize = "UUIDConflict")]
    UuidConflict,
    /// The Service of the listener does not exist.
    ServiceNotFound,
    /// The Service of the listener does not have the port.
    PortNotFound,
    /// The Service is of type `ExternalName`.
    ServiceTypeNotSupported,
    /// The Service has endpoints that are not selected Pods.
    ManualEndpointsNotAllowed,
    /// `--listener-allow-url` is not set.
    #[strum(serialize = "ListenerURLNotAllowed")]
    ListenerUrlNotAllowed,
    /// `spec.listener.url` cannot be used.
    #[strum(serialize = "ListenerURLInvalid")]
    ListenerUrlInvalid,
    /// The operator does not connect to the address of the listener.
    ListenerAddressRefused,
}

impl StalledReason {
    /// The text in the status.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Reason of the condition `ListenerReachable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
pub enum ListenerReason {
    /// The listener answers.
    Answered,
    /// Consecutive attempts failed.
    NotAnswering,
}

impl ListenerReason {
    /// The text in the status.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doc_tables::first_column;

    #[test]
    fn the_documentation_lists_exactly_the_reasons() {
        let mut reasons: Vec<&str> = ConditionReason::VARIANTS.to_vec();
        assert_eq!(reasons.pop(), Some("Stalled"), "stands for the reasons that follow");
        reasons.extend(StalledReason::VARIANTS.iter().map(|reason| reason.as_str()));
        reasons.extend(ListenerReason::VARIANTS.iter().map(|reason| reason.as_str()));
        let page = include_str!("../../docs/status.md");
        let header = "| reason | of | condition that is `True` | meaning |";
        assert_eq!(first_column(page, header), reasons);
    }

    #[test]
    fn a_reason_is_read_back_from_its_text() {
        for reason in StalledReason::VARIANTS {
            assert_eq!(reason.as_str().parse(), Ok(*reason));
            assert_eq!(ConditionReason::Stalled(*reason).as_str(), reason.as_str());
        }
        assert_eq!(StalledReason::UuidConflict.as_str(), "UUIDConflict");
        assert_eq!(StalledReason::ListenerUrlInvalid.as_str(), "ListenerURLInvalid");
        assert!("UuidConflict".parse::<StalledReason>().is_err());
    }
}
