//! What has happened at a webhook and at an app since this process began: for metrics and for people.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::histogram::Histogram;
use crate::moment::Moment;

/// What may become of a trigger, by the words that `/metrics` has for it: the first ones are no
/// errors, the others are the `reason` of an error's body. The last one is for what is not listed.
pub const OUTCOMES: [&str; 29] = [
    "delivered",
    "stored",
    "duplicate",
    "filtered",
    "handshake",
    "invalid_signature",
    "rate_limited",
    "error_404",
    "invalid_uuid",
    "method_not_allowed",
    "suspended",
    "not_ready",
    "draining",
    "source_not_allowed",
    "overloaded",
    "payload_too_large",
    "request_timeout",
    "invalid_body",
    "invalid_json",
    "invalid_form",
    "filter_error",
    "dedup_error",
    "store_full",
    "app_store_full",
    "store_failed",
    "listener_error",
    "listener_timeout",
    "listener_unavailable",
    "other",
];

/// How many of [`OUTCOMES`] are no errors.
const GOOD_OUTCOMES: usize = 5;

/// How an attempt ended, by the words that `/metrics` has for it.
pub const ATTEMPT_OUTCOMES: [&str; 6] =
    ["succeeded", "refused", "timeout", "connect", "http", "no_endpoints"];

/// Why a delivery may be given up, by the words that `/metrics` has for it.
pub const DEATHS: [&str; 5] =
    ["attempts_used_up", "too_old", "rejected", "app_deleted", "unreadable"];

/// Minutes that are looked back on.
pub const MINUTES: usize = 60;

/// Numbers of triggers by outcome.
#[derive(Debug, Default)]
pub struct Outcomes([AtomicU64; OUTCOMES.len()]);

impl Outcomes {
    /// Counts one; says whether it was no error.
    pub fn count(&self, outcome: &str) -> bool {
        let index = OUTCOMES.iter().position(|known| *known == outcome);
        let index = index.unwrap_or(OUTCOMES.len() - 1);
        self.0[index].fetch_add(1, Relaxed);
        index < GOOD_OUTCOMES
    }

    /// Those that there were.
    pub fn counted(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        counted(&OUTCOMES, &self.0)
    }
}

/// Numbers of deliveries that were given up, by reason.
#[derive(Debug, Default)]
pub struct Deaths([AtomicU64; DEATHS.len()]);

impl Deaths {
    /// Counts some, by one of [`DEATHS`].
    pub fn count(&self, reason: &str, number: u64) {
        if let Some(index) = DEATHS.iter().position(|known| *known == reason) {
            self.0[index].fetch_add(number, Relaxed);
        }
    }

    /// Those that there were.
    pub fn counted(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        counted(&DEATHS, &self.0)
    }
}

/// What has happened at one webhook.
#[derive(Debug)]
pub struct Counts {
    triggers: Outcomes,
    /// Deliveries that the listener took.
    succeeded: AtomicU64,
    /// Deliveries that were given up.
    dead: Deaths,
    /// When the listener last took one; 0 when it never did.
    last_success: AtomicU64,
    minutes: [Minute; MINUTES],
}

/// One minute; the same cell serves for the minute an hour later.
#[derive(Debug, Default)]
struct Minute {
    /// Which one, since 1970.
    number: AtomicU32,
    counts: [AtomicU32; 4],
}

/// What happened in one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Triggers that were no errors.
    pub accepted: u32,
    /// Triggers that were refused.
    pub refused: u32,
    /// Attempts that the listener answered 2xx.
    pub succeeded: u32,
    /// Attempts that failed.
    pub failed: u32,
}

impl Default for Counts {
    fn default() -> Self {
        let (triggers, succeeded, dead, last_success) = Default::default();
        let minutes = std::array::from_fn(|_| Minute::default());
        Self { triggers, succeeded, dead, last_success, minutes }
    }
}

impl Counts {
    /// Counts a trigger.
    pub fn triggered(&self, outcome: &str, now: Moment) {
        let is_good = self.triggers.count(outcome);
        self.minute(now, if is_good { 0 } else { 1 });
    }

    /// Counts an attempt.
    pub fn attempted(&self, succeeded: bool, now: Moment) {
        if succeeded {
            self.last_success.fetch_max(now.0, Relaxed);
        }
        self.minute(now, if succeeded { 2 } else { 3 });
    }

    /// Counts a delivery that the listener took.
    pub fn delivered(&self) {
        self.succeeded.fetch_add(1, Relaxed);
    }

    /// Deliveries that were given up.
    pub fn dead(&self) -> &Deaths {
        &self.dead
    }

    /// Triggers by outcome.
    pub fn triggers(&self) -> &Outcomes {
        &self.triggers
    }

    /// Deliveries that the listener took.
    pub fn succeeded(&self) -> u64 {
        self.succeeded.load(Relaxed)
    }

    /// When the listener last took an event.
    pub fn last_success(&self) -> Option<Moment> {
        Some(self.last_success.load(Relaxed)).filter(|last| *last > 0).map(Moment)
    }

    /// The last hour, the present minute last.
    pub fn rates(&self, now: Moment) -> [Rates; MINUTES] {
        let present = minute_of(now);
        std::array::from_fn(|index| {
            let number = present.wrapping_sub((MINUTES - 1 - index) as u32);
            let minute = &self.minutes[number as usize % MINUTES];
            if minute.number.load(Relaxed) != number {
                return Rates::default();
            }
            let [accepted, refused, succeeded, failed] =
                std::array::from_fn(|i| minute.counts[i].load(Relaxed));
            Rates { accepted, refused, succeeded, failed }
        })
    }

    fn minute(&self, now: Moment, which: usize) {
        let number = minute_of(now);
        let minute = &self.minutes[number as usize % MINUTES];
        // Who sees the new minute first empties it; one that is counted just then may be lost: it is a chart.
        if minute.number.swap(number, Relaxed) != number {
            minute.counts.iter().for_each(|count| count.store(0, Relaxed));
        }
        minute.counts[which].fetch_add(1, Relaxed);
    }
}

fn minute_of(now: Moment) -> u32 {
    (now.0 / 60_000) as u32
}

/// What has happened at the listener of one app.
#[derive(Debug)]
pub struct AppCounts {
    attempts: [AtomicU64; ATTEMPT_OUTCOMES.len()],
    /// Attempts after which another one was due.
    retries: AtomicU64,
    /// How long attempts took.
    pub took: Histogram,
}

impl Default for AppCounts {
    fn default() -> Self {
        let (attempts, retries) = Default::default();
        Self { attempts, retries, took: Histogram::of_times() }
    }
}

impl AppCounts {
    /// Counts an attempt, by one of [`ATTEMPT_OUTCOMES`].
    pub fn attempted(&self, outcome: &str, took: Duration) {
        if let Some(index) = ATTEMPT_OUTCOMES.iter().position(|known| *known == outcome) {
            self.attempts[index].fetch_add(1, Relaxed);
        }
        self.took.time(took);
    }

    /// Counts an attempt after which another one is due.
    pub fn retried(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    /// Attempts after which another one was due.
    pub fn retries(&self) -> u64 {
        self.retries.load(Relaxed)
    }

    /// Attempts by outcome.
    pub fn attempts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        counted(&ATTEMPT_OUTCOMES, &self.attempts)
    }
}

fn counted<'a>(
    words: &'a [&'static str],
    counts: &'a [AtomicU64],
) -> impl Iterator<Item = (&'static str, u64)> + 'a {
    let counts = counts.iter().map(|count| count.load(Relaxed));
    words.iter().copied().zip(counts).filter(|(_, count)| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    #[test]
    fn each_outcome_is_counted_by_its_word_and_unknown_ones_together() {
        let outcomes = Outcomes::default();
        assert!(outcomes.count("stored") && outcomes.count("handshake"));
        assert!(!outcomes.count("invalid_signature") && !outcomes.count("unheard_of"));
        let counted: Vec<_> = outcomes.counted().collect();
        let expected = [("stored", 1), ("handshake", 1), ("invalid_signature", 1), ("other", 1)];
        assert_eq!(counted, expected);
    }

    #[test]
    fn an_hour_is_kept_and_the_same_minute_of_the_next_one_begins_at_nothing() {
        let counts = Counts::default();
        let at = |minute: u64| Moment(minute * MINUTE + 1);
        counts.triggered("stored", at(100));
        counts.triggered("rate_limited", at(100));
        counts.attempted(true, at(101));
        counts.attempted(false, at(101));
        let rates = counts.rates(at(101));
        assert_eq!(rates[58], Rates { accepted: 1, refused: 1, ..Rates::default() });
        assert_eq!(rates[59], Rates { succeeded: 1, failed: 1, ..Rates::default() });
        assert_eq!(counts.rates(at(160))[0], rates[59]);
        assert_eq!(counts.rates(at(161)), [Rates::default(); MINUTES]);
        counts.triggered("stored", at(160));
        assert_eq!(counts.rates(at(160))[59], Rates { accepted: 1, ..Rates::default() });
        assert_eq!(counts.last_success(), Some(at(101)));
    }
}
