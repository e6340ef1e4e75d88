//! Metrics of the exchange with the API server: watches and status writes.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

/// Counters since the start of this process. They are read rarely, so one lock is enough.
#[derive(Debug, Default)]
pub struct SourceMetrics(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    watches: BTreeMap<String, KindMetrics>,
    statuses: BTreeMap<&'static str, StatusWrites>,
    last_id: u64,
}

#[derive(Debug, Default)]
struct KindMetrics {
    restarts: u64,
    /// The interrupted watches, by id.
    interrupted: HashMap<u64, Interruption>,
}

#[derive(Clone, Copy, Debug)]
struct Interruption {
    since: Instant,
    /// The last failed attempt to resume.
    last_failure: Instant,
}

/// A watch counts as resumed after this long without a failed attempt. A resumed watch reports
/// success only with its next event, which may take long. Longer than the longest attempt and the
/// backoff after it.
const RESUMED_AFTER: Duration = Duration::from_secs(60);

impl KindMetrics {
    /// Counts the interrupted watches that resumed without an event.
    fn detect_resumed(&mut self, now: Instant) {
        let before = self.interrupted.len();
        self.interrupted
            .retain(|_, watch| now.saturating_duration_since(watch.last_failure) <= RESUMED_AFTER);
        self.restarts += (before - self.interrupted.len()) as u64;
    }
}

/// Status writes of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusWrites {
    /// Successful writes.
    pub written: u64,
    /// Writes that were rejected or got no response.
    pub failed: u64,
}

/// The watches of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchMetrics {
    /// The kind.
    pub kind: String,
    /// How often an interrupted watch resumed.
    pub restarts: u64,
    /// How long changes may have been missed: the age of the oldest interruption.
    pub lag: Duration,
}

/// Tracks one watch. An interruption ends when this is dropped.
#[derive(Debug)]
pub struct WatchTracker<'a> {
    metrics: &'a SourceMetrics,
    kind: String,
    id: u64,
}

impl SourceMetrics {
    /// Starts tracking a watch of a kind.
    pub fn watch(&self, kind: &str) -> WatchTracker<'_> {
        let mut inner = self.inner();
        inner.watches.entry(kind.to_owned()).or_default();
        inner.last_id += 1;
        WatchTracker { metrics: self, kind: kind.to_owned(), id: inner.last_id }
    }

    /// Counts a status write.
    pub fn count_status_write(&self, kind: &'static str, is_written: bool) {
        let mut inner = self.inner();
        let StatusWrites { written, failed } = inner.statuses.entry(kind).or_default();
        *if is_written { written } else { failed } += 1;
    }

    /// The metrics of all watches, by kind.
    pub fn watches(&self, now: Instant) -> Vec<WatchMetrics> {
        let mut inner = self.inner();
        let watching = inner.watches.iter_mut().map(|(kind, watches)| {
            watches.detect_resumed(now);
            let first = watches.interrupted.values().map(|watch| watch.since).min();
            let lag = first.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
            WatchMetrics { kind: kind.clone(), restarts: watches.restarts, lag }
        });
        watching.collect()
    }

    /// The status writes, by kind.
    pub fn statuses(&self) -> Vec<(&'static str, StatusWrites)> {
        self.inner().statuses.iter().map(|(kind, written)| (*kind, *written)).collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock()
    }
}

impl WatchTracker<'_> {
    /// Records an interruption, or a failed attempt to resume.
    pub fn interrupted(&self, now: Instant) {
        self.change(|watches| {
            watches.detect_resumed(now);
            let new = Interruption { since: now, last_failure: now };
            watches.interrupted.entry(self.id).or_insert(new).last_failure = now;
        });
    }

    /// Records that the watch resumed.
    pub fn resumed(&self) {
        self.change(|watches| {
            if watches.interrupted.remove(&self.id).is_some() {
                watches.restarts += 1;
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut KindMetrics)) {
        if let Some(watches) = self.metrics.inner().watches.get_mut(&self.kind) {
            change(watches);
        }
    }
}

impl Drop for WatchTracker<'_> {
    fn drop(&mut self) {
        self.change(|watches| {
            watches.interrupted.remove(&self.id);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lag_of_a_kind_is_that_of_the_watch_which_is_interrupted_longest() {
        let (signals, now) = (SourceMetrics::default(), Instant::now());
        let (one, other) = (signals.watch("Secret"), signals.watch("Secret"));
        let lag = |seconds| signals.watches(now + Duration::from_secs(seconds))[0].lag.as_secs();
        assert_eq!(lag(10), 0);
        one.interrupted(now);
        one.interrupted(now + Duration::from_secs(3));
        other.interrupted(now + Duration::from_secs(4));
        assert_eq!(lag(10), 10);
        one.resumed();
        assert_eq!(lag(10), 6);
        drop(other);
        assert_eq!(lag(10), 0);
        one.resumed();
        assert_eq!(signals.watches(now)[0].restarts, 1);
    }

    #[test]
    fn a_watch_that_was_not_interrupted_again_for_a_minute_goes_on() {
        let (signals, now) = (SourceMetrics::default(), Instant::now());
        let watch = signals.watch("Webhook");
        let later = |seconds| now + Duration::from_secs(seconds);
        watch.interrupted(now);
        watch.interrupted(later(50));
        assert_eq!(signals.watches(later(110))[0].lag.as_secs(), 110);
        let WatchMetrics { lag, restarts, .. } = signals.watches(later(111)).remove(0);
        assert_eq!((lag.as_secs(), restarts), (0, 1));
        watch.interrupted(later(120));
        assert_eq!(signals.watches(later(130))[0].lag.as_secs(), 10);
    }
}
