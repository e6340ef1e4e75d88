//! How a delivery continues after an attempt.

use crate::moment::Moment;

/// What follows from an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The listener took it.
    Succeeded,
    /// It is due again.
    Retry(Moment),
    /// It is given up.
    Dead(Reason),
}

/// Why a delivery was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// `maxAttempts` were made.
    AttemptsUsedUp,
    /// It is older than `maxAge`.
    TooOld,
    /// The listener answered a status that another attempt would not change.
    Rejected,
    /// Its app is gone.
    AppDeleted,
    /// What is stored of it cannot be read.
    Unreadable,
}

impl Reason {
    /// The word for it, see [`crate::routes::counts::DEATHS`].
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
