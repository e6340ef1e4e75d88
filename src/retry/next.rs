//! The next step of a delivery.

use crate::moment::Moment;

/// The next step of a delivery after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The listener accepted the event.
    Succeeded,
    /// The next attempt is due at this time.
    Retry(Moment),
    /// The delivery is given up.
    Dead(DeadReason),
}

/// The reason for giving up a delivery. Its name, such as `TooOld`, is that of the API, the CLI and
/// the docs.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::IntoStaticStr,
    strum::VariantArray,
    strum::EnumCount,
    strum::EnumDiscriminants,
)]
#[strum_discriminants(
    name(DeadLabel),
    vis(),
    derive(strum::IntoStaticStr),
    strum(serialize_all = "snake_case")
)]
pub enum DeadReason {
    /// `maxAttempts` is reached.
    AttemptsUsedUp,
    /// The delivery would be older than `maxAge`.
    TooOld,
    /// The listener responded with a status that a retry would not change.
    Rejected,
    /// The app was deleted.
    AppDeleted,
    /// The stored event cannot be read.
    Unreadable,
    /// The webhook's transform failed at the last attempt, so the listener was not called.
    TransformFailed,
}

impl DeadReason {
    /// The name of this reason.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The reason as a metric label: its name in snake case.
    pub fn label(self) -> &'static str {
        DeadLabel::from(self).into()
    }
}
