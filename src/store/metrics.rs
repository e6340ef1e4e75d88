//! Numbers about a store and its deliveries.

use crate::histogram::{Histogram, Snapshot};
use crate::moment::Moment;
use crate::routes::AppId;

/// Size and load of a store. The values are kept in memory, so reading them does not access the
/// stored data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoreMetrics {
    /// Used bytes of storage.
    pub bytes: u64,
    /// Maximum of `bytes`.
    pub max_bytes: u64,
    /// Pending and waiting deliveries by app.
    pub undelivered: Vec<(AppId, u64)>,
    /// When the oldest of them was created, by app, rounded down to the second.
    pub oldest: Vec<(AppId, Moment)>,
    /// Durations of commits since the start, in seconds.
    pub commit_times: Snapshot,
    /// Number of writes in each commit.
    pub commit_writes: Snapshot,
}

/// Delivery counts of a webhook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All deliveries that ever succeeded. After a crash, the latest ones may be missing.
    pub succeeded: u64,
    /// Dead deliveries that are still stored, and can be replayed.
    pub dead: u64,
    /// Pending and waiting deliveries.
    pub pending: u64,
    /// Time of the last success.
    pub last: Option<Moment>,
}

/// Measurements of commits since the start.
#[derive(Debug)]
pub struct Commits {
    /// Duration of each commit.
    pub took: Histogram,
    /// Number of writes in each commit.
    pub writes: Histogram,
}

impl Default for Commits {
    fn default() -> Self {
        Self { took: Histogram::of_times(), writes: Histogram::of_numbers() }
    }
}
