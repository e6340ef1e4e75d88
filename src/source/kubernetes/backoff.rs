//! Delays after consecutive failures, and which of these failures to log.

use std::time::Duration;

use kube::runtime::utils::Backoff;
use tokio::time::Instant;

use crate::backoff;

const FIRST: Duration = Duration::from_millis(500);

/// The delay after a number of consecutive failures (1 or more): doubles up to `cap`.
pub fn delay(failures: u32, cap: Duration) -> Duration {
    backoff::delay(FIRST, failures, cap)
}

/// Groups failures into outages. An outage ends after some time without a failure.
#[derive(Debug, Default)]
pub struct Outage {
    failures: u32,
    last: Option<Instant>,
}

impl Outage {
    /// A failure after this long without one starts a new outage. Longer than the delays between
    /// retries.
    const QUIET: Duration = Duration::from_secs(30);

    /// Counts a failure. Returns its number within the outage, from 1.
    pub fn failed(&mut self, now: Instant) -> u32 {
        if self.last.is_none_or(|last| now - last > Self::QUIET) {
            self.failures = 0;
        }
        self.last = Some(now);
        self.failures = self.failures.saturating_add(1);
        self.failures
    }

    /// Records a success. Returns whether it ends an outage.
    pub fn succeeded(&mut self) -> bool {
        self.failures = 0;
        self.last.take().is_some()
    }
}

/// The delays of a watch, short enough that it resumes soon after the API server is back.
#[derive(Debug, Default)]
pub struct WatchBackoff(Outage);

impl WatchBackoff {
    const CAP: Duration = Duration::from_secs(10);
}

impl Iterator for WatchBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(delay(self.0.failed(Instant::now()), Self::CAP))
    }
}

impl Backoff for WatchBackoff {
    /// Does nothing: the watcher emits `Init` before each failing list, and this is not a success.
    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_never_fall_below_half_of_it() {
        let cap = Duration::from_secs(10);
        for (failures, full) in [(1, 500), (2, 1000), (5, 8000), (6, 10_000), (u32::MAX, 10_000)] {
            let wait = delay(failures, cap);
            let full = Duration::from_millis(full);
            assert!(wait <= full && wait >= full / 2, "{failures}: {wait:?}");
        }
    }

    #[test]
    fn an_outage_is_counted_until_it_was_quiet_or_something_succeeded() {
        let mut outage = Outage::default();
        let now = Instant::now();
        assert!(!outage.succeeded());
        assert_eq!([outage.failed(now), outage.failed(now)], [1, 2]);
        assert!(outage.succeeded());
        assert_eq!([outage.failed(now), outage.failed(now)], [1, 2]);
        assert_eq!(outage.failed(now + Outage::QUIET + Duration::from_secs(1)), 1);
    }
}
