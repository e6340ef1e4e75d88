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
    Dead(Reason),
}

/// The reason for giving up a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
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
}

impl Reason {
    /// The reason as a metric label, see [`crate::routes::counts::DEATHS`].
    pub fn word(self) -> &'static str {
        match self {
            Self::AttemptsUsedUp => "attempts_used_up",
            Self::TooOld => "too_old",
            Self::Rejected => "rejected",
            Self::AppDeleted => "app_deleted",
            Self::Unreadable => "unreadable",
        }
    }
}
