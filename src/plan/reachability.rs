//! What is known of whether an app's listener answers.

use crate::moment::Moment;

/// Whether a listener answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reachability {
    /// Nothing was delivered yet.
    #[default]
    Unknown,
    /// It answered when it was called last, or has not yet failed for long.
    Reachable,
    /// It has failed so often that it is probed.
    Unreachable {
        /// When the first of the failures in a row was.
        since: Moment,
        /// How the last one failed, in words.
        why: String,
        /// How many there were when this was told.
        failures: u32,
    },
}
