//! Counts of triggers and deliveries per webhook and app since the process started, for metrics and
//! for people.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use strum::{EnumCount, VariantArray};

use super::outcome::{AttemptOutcome, TriggerOutcome};
use crate::histogram::Histogram;
use crate::moment::Moment;
use crate::retry::DeadReason;

/// The number of minutes for which rates are kept.
pub const MINUTES: usize = 60;

/// Triggers by outcome.
#[derive(Debug)]
pub struct Outcomes([AtomicU64; TriggerOutcome::COUNT]);

impl Default for Outcomes {
    /// No triggers. Not derived: arrays have it up to 32 elements only.
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Outcomes {
    /// Counts a trigger.
    pub fn count(&self, outcome: TriggerOutcome) {
        self.0[outcome as usize].fetch_add(1, Relaxed);
    }

    /// The labels of the outcomes with a count above zero, with that count.
    pub fn counted(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let labels = TriggerOutcome::VARIANTS.iter().map(|outcome| outcome.as_str());
        counted(labels, &self.0)
    }
}

/// Given-up deliveries by reason.
#[derive(Debug, Default)]
pub struct Deaths([AtomicU64; DeadReason::COUNT]);

impl Deaths {
    /// Counts deliveries.
    pub fn count(&self, reason: DeadReason, number: u64) {
        self.0[reason as usize].fetch_add(number, Relaxed);
    }

    /// The labels of the reasons with a count above zero, with that count.
    pub fn counted(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let labels = DeadReason::VARIANTS.iter().map(|reason| reason.label());
        counted(labels, &self.0)
    }
}

/// The counts of one webhook.
#[derive(Debug)]
pub struct Counts {
    triggers: Outcomes,
    /// Deliveries that the listener accepted.
    succeeded: AtomicU64,
    /// Deliveries that were given up.
    dead: Deaths,
    /// The time of the last accepted delivery; 0 if there was none.
    last_success: AtomicU64,
    minutes: [Minute; MINUTES],
}

/// The counts of one minute; the cell is reused for the same minute of the next hour.
#[derive(Debug, Default)]
struct Minute {
    /// The minute, counted since 1970.
    number: AtomicU32,
    counts: [AtomicU32; 4],
}

/// The events of one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Triggers that were accepted.
    pub accepted: u32,
    /// Triggers that were rejected.
    pub refused: u32,
    /// Attempts with a 2xx response.
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
    pub fn triggered(&self, outcome: TriggerOutcome, now: Moment) {
        self.triggers.count(outcome);
        self.minute(now, if outcome.is_accepted() { 0 } else { 1 });
    }

    /// Counts an attempt.
    pub fn attempted(&self, succeeded: bool, now: Moment) {
        if succeeded {
            self.last_success.fetch_max(now.0, Relaxed);
        }
        self.minute(now, if succeeded { 2 } else { 3 });
    }

    /// Counts a delivery that the listener accepted.
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

    /// Deliveries that the listener accepted.
    pub fn succeeded(&self) -> u64 {
        self.succeeded.load(Relaxed)
    }

    /// The time of the last accepted delivery.
    pub fn last_success(&self) -> Option<Moment> {
        Some(self.last_success.load(Relaxed)).filter(|last| *last > 0).map(Moment)
    }

    /// The rates of the last hour; the current minute is the last element.
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
        // The first thread in a new minute resets the cell. A concurrent count may get lost, which
        // is acceptable for a chart.
        if minute.number.swap(number, Relaxed) != number {
            minute.counts.iter().for_each(|count| count.store(0, Relaxed));
        }
        minute.counts[which].fetch_add(1, Relaxed);
    }
}

fn minute_of(now: Moment) -> u32 {
    (now.0 / 60_000) as u32
}

/// The counts of one app's listener.
#[derive(Debug)]
pub struct AppCounts {
    attempts: [AtomicU64; AttemptOutcome::COUNT],
    /// Attempts that were followed by a retry.
    retries: AtomicU64,
    /// The durations of attempts.
    pub took: Histogram,
}

impl Default for AppCounts {
    fn default() -> Self {
        let (attempts, retries) = Default::default();
        Self { attempts, retries, took: Histogram::of_times() }
    }
}

impl AppCounts {
    /// Counts an attempt.
    pub fn attempted(&self, outcome: AttemptOutcome, took: Duration) {
        self.attempts[outcome as usize].fetch_add(1, Relaxed);
        self.took.time(took);
    }

    /// Counts an attempt that will be retried.
    pub fn retried(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    /// Attempts that were followed by a retry.
    pub fn retries(&self) -> u64 {
        self.retries.load(Relaxed)
    }

    /// The labels of the outcomes of attempts with a count above zero, with that count.
    pub fn attempts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let labels = AttemptOutcome::VARIANTS.iter().map(|outcome| outcome.as_str());
        counted(labels, &self.attempts)
    }
}

fn counted<'a>(
    labels: impl Iterator<Item = &'static str> + 'a,
    counts: &'a [AtomicU64],
) -> impl Iterator<Item = (&'static str, u64)> + 'a {
    let counts = counts.iter().map(|count| count.load(Relaxed));
    labels.zip(counts).filter(|(_, count)| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    #[test]
    fn each_outcome_of_a_trigger_has_its_own_count() {
        let outcomes = Outcomes::default();
        for (index, outcome) in TriggerOutcome::VARIANTS.iter().enumerate() {
            (0..=index).for_each(|_| outcomes.count(*outcome));
        }
        let counted: Vec<_> = outcomes.counted().collect();
        assert_eq!(counted.len(), TriggerOutcome::COUNT);
        assert_eq!(counted[..2], [("delivered", 1), ("stored", 2)]);
        assert_eq!(counted[9], ("error_404", 10));
        assert!(counted.iter().zip(1..).all(|((_, count), expected)| *count == expected));
    }

    #[test]
    fn each_outcome_of_an_attempt_has_its_own_count() {
        let counts = AppCounts::default();
        for (index, outcome) in AttemptOutcome::VARIANTS.iter().enumerate() {
            (0..=index).for_each(|_| counts.attempted(*outcome, Duration::ZERO));
        }
        let counted: Vec<_> = counts.attempts().collect();
        let expected = [
            ("succeeded", 1),
            ("refused", 2),
            ("timeout", 3),
            ("connect", 4),
            ("http", 5),
            ("no_endpoints", 6),
        ];
        assert_eq!(counted, expected);
    }

    #[test]
    fn an_hour_is_kept_and_the_same_minute_of_the_next_one_begins_at_nothing() {
        let counts = Counts::default();
        let at = |minute: u64| Moment(minute * MINUTE + 1);
        counts.triggered(TriggerOutcome::Stored, at(100));
        counts.triggered(TriggerOutcome::RateLimited, at(100));
        counts.attempted(true, at(101));
        counts.attempted(false, at(101));
        let rates = counts.rates(at(101));
        assert_eq!(rates[58], Rates { accepted: 1, refused: 1, ..Rates::default() });
        assert_eq!(rates[59], Rates { succeeded: 1, failed: 1, ..Rates::default() });
        assert_eq!(counts.rates(at(160))[0], rates[59]);
        assert_eq!(counts.rates(at(161)), [Rates::default(); MINUTES]);
        counts.triggered(TriggerOutcome::Stored, at(160));
        assert_eq!(counts.rates(at(160))[59], Rates { accepted: 1, ..Rates::default() });
        assert_eq!(counts.last_success(), Some(at(101)));
    }
}
