//! Whether an app's listener is to be called as usual, probed, or slowly called again. Pure.

use std::time::Duration;

use crate::backoff;
use crate::moment::Moment;
use crate::plan::Reachability;

/// Failures in a row after which a listener is probed.
pub const PATIENCE: u32 = 10;
/// The wait before the first probe; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait before a probe.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What attempts have learned of a listener.
#[derive(Debug, Default)]
pub struct Health {
    mode: Mode,
    /// Failures in a row.
    failures: u32,
    /// When the first of them was.
    since: Moment,
    /// What was told last.
    told: Told,
}

#[derive(Debug, Default)]
enum Mode {
    /// As many attempts as the app may make.
    #[default]
    Open,
    /// As many as have lately succeeded, twice over: what has piled up comes at a rate that the
    /// listener has shown to bear.
    Opening { limit: usize },
    /// One attempt at a time.
    Probing { probes: u32, next: Moment, under_way: bool },
}

/// [`Reachability`], as far as it decides whether there is something new to tell.
#[derive(Debug, Default, PartialEq, Eq)]
enum Told {
    #[default]
    Nothing,
    Reachable,
    Unreachable(Box<str>),
}

impl Health {
    /// How many attempts there may be at once, of an app that may make `concurrency`.
    pub fn limit(&self, concurrency: usize) -> usize {
        match self.mode {
            Mode::Open => concurrency,
            Mode::Opening { limit } => limit.min(concurrency),
            Mode::Probing { .. } => 1,
        }
    }

    /// When there may be another attempt at the earliest.
    pub fn not_before(&self) -> Moment {
        match self.mode {
            Mode::Probing { next, .. } => next,
            _ => Moment::default(),
        }
    }

    /// Whether it has failed too often.
    pub fn is_probing(&self) -> bool {
        matches!(self.mode, Mode::Probing { .. })
    }

    /// Makes the next probe due at once: something about the listener has changed.
    pub fn probe_at_once(&mut self) {
        if let Mode::Probing { probes, next, .. } = &mut self.mode {
            (*probes, *next) = (0, Moment::default());
        }
    }

    /// An attempt begins.
    pub fn began(&mut self) {
        if let Mode::Probing { under_way, .. } = &mut self.mode {
            *under_way = true;
        }
    }

    /// An attempt came to nothing: neither did the listener answer nor did it fail to.
    pub fn learned_nothing(&mut self) {
        if let Mode::Probing { under_way, .. } = &mut self.mode {
            *under_way = false;
        }
    }

    /// The listener answered. Returns what is to be told.
    pub fn answered(&mut self, concurrency: usize) -> Option<Reachability> {
        self.failures = 0;
        self.mode = match self.mode {
            Mode::Probing { .. } => Mode::Opening { limit: 1 },
            Mode::Opening { limit } if 2 * limit < concurrency => {
                Mode::Opening { limit: 2 * limit }
            }
            Mode::Open | Mode::Opening { .. } => Mode::Open,
        };
        let is_new = self.told != Told::Reachable;
        self.told = Told::Reachable;
        is_new.then_some(Reachability::Reachable)
    }

    /// The listener failed, in this way. Returns what is to be told.
    pub fn failed(&mut self, why: &str, now: Moment) -> Option<Reachability> {
        if self.failures == 0 {
            self.since = now;
        }
        self.failures = self.failures.saturating_add(1);
        self.mode = match self.mode {
            // One that began before the probing did says nothing about when to probe.
            Mode::Probing { under_way: false, probes, next } => {
                Mode::Probing { under_way: false, probes, next }
            }
            Mode::Probing { probes, .. } => probing(probes + 1, now),
            _ if self.failures >= PATIENCE => probing(1, now),
            Mode::Opening { limit } => Mode::Opening { limit: (limit / 2).max(1) },
            Mode::Open => Mode::Open,
        };
        if !self.is_probing() || matches!(&self.told, Told::Unreachable(told) if **told == *why) {
            return None;
        }
        self.told = Told::Unreachable(why.into());
        let (since, failures) = (self.since, self.failures);
        Some(Reachability::Unreachable { since, why: why.into(), failures })
    }
}

fn probing(probes: u32, now: Moment) -> Mode {
    let next = now + backoff::delay(FIRST_WAIT, probes, LONGEST_WAIT);
    Mode::Probing { probes, next, under_way: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment(1_000_000);

    fn down() -> Health {
        let mut health = Health::default();
        (0..PATIENCE).for_each(|_| drop(health.failed("it broke", NOW)));
        health
    }

    #[test]
    fn failures_in_a_row_lead_to_probing_and_an_answer_between_them_does_not() {
        let mut health = Health::default();
        for _ in 0..PATIENCE - 1 {
            assert_eq!(health.failed("it broke", NOW), None);
        }
        assert_eq!(health.answered(16), Some(Reachability::Reachable));
        for second in 0..u64::from(PATIENCE) - 1 {
            assert_eq!(health.failed("it broke", NOW + Duration::from_secs(second)), None);
        }
        assert_eq!((health.limit(16), health.is_probing()), (16, false));
        let told = health.failed("it broke", NOW + Duration::from_secs(60));
        let why = "it broke".into();
        let unreachable = Reachability::Unreachable { since: NOW, why, failures: PATIENCE };
        assert_eq!(told, Some(unreachable));
        assert_eq!((health.limit(16), health.is_probing()), (1, true));
    }

    #[test]
    fn the_wait_before_a_probe_doubles_up_to_a_minute() {
        let (mut health, mut now) = (down(), NOW);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            let wait = health.not_before().since(now);
            let longest = Duration::from_secs(seconds);
            assert!(longest / 2 <= wait && wait <= longest, "{wait:?} of {longest:?}");
            now = health.not_before();
            health.began();
            assert_eq!(health.failed("it broke", now), None);
        }
    }

    #[test]
    fn what_was_under_way_when_probing_began_does_not_put_off_the_probe() {
        let mut health = down();
        let next = health.not_before();
        assert_eq!(health.failed("it broke", NOW + Duration::from_secs(9)), None);
        assert_eq!(health.not_before(), next);
    }

    #[test]
    fn another_way_of_failing_is_told_and_the_same_one_is_not() {
        let mut health = down();
        health.began();
        assert!(health.failed("it broke otherwise", NOW).is_some());
        health.began();
        assert!(health.failed("it broke otherwise", NOW).is_none());
        assert_eq!(health.answered(16), Some(Reachability::Reachable));
        assert_eq!(health.answered(16), None);
    }

    #[test]
    fn after_probing_the_limit_doubles_with_each_answer_and_halves_with_each_failure() {
        let mut health = down();
        let mut limits = Vec::new();
        for _ in 0..3 {
            let _ = health.answered(10);
            limits.push(health.limit(10));
        }
        let _ = health.failed("it broke", NOW);
        limits.push(health.limit(10));
        for _ in 0..3 {
            let _ = health.answered(10);
            limits.push(health.limit(10));
        }
        assert_eq!(limits, [1, 2, 4, 2, 4, 8, 10]);
    }

    #[test]
    fn a_change_makes_the_next_probe_due_at_once() {
        let mut health = down();
        health.probe_at_once();
        assert!(health.not_before() <= NOW);
        health.began();
        let _ = health.failed("it broke", NOW);
        assert!(health.not_before().since(NOW) <= FIRST_WAIT);
    }
}
