//! The circuit breaker of an app's listener. Pure: time is a parameter.
//!
//! ```text
//! Closed --10 failures in a row--> Open --an answer--> Recovering --answers--> Closed
//!                                    ^                     |
//!                                    +--10 failures--------+
//! ```

use std::time::Duration;

use crate::backoff;
use crate::moment::Moment;
use crate::plan::Reachability;

/// Consecutive failures after which the circuit opens.
pub const FAILURE_THRESHOLD: u32 = 10;
/// Delay of the first probe; it doubles with each failed probe.
const FIRST_PROBE_DELAY: Duration = Duration::from_secs(1);
/// Upper limit of the delay of a probe.
const MAX_PROBE_DELAY: Duration = Duration::from_secs(60);

/// The circuit breaker of one listener.
#[derive(Debug, Default)]
pub struct CircuitBreaker {
    state: BreakerState,
    consecutive_failures: u32,
    /// Time of the first of the consecutive failures.
    failing_since: Moment,
    reported: LastReport,
}

#[derive(Debug, Default)]
enum BreakerState {
    /// The listener is called with the full concurrency of the app.
    #[default]
    Closed,
    /// The limit doubles with each answer and halves with each failure: the backlog of the outage
    /// is sent at a rate that the listener has proved to sustain.
    Recovering { limit: usize },
    /// Only probes are sent, one attempt at a time.
    Open { probes: u32, next_probe: Moment, is_probe_in_flight: bool },
}

/// The last report, so that an unchanged [`Reachability`] is not reported again.
#[derive(Debug, Default, PartialEq, Eq)]
enum LastReport {
    #[default]
    Nothing,
    Reachable,
    Unreachable(Box<str>),
}

impl CircuitBreaker {
    /// The maximum number of concurrent attempts; `concurrency` is the app's own limit.
    pub fn limit(&self, concurrency: usize) -> usize {
        match self.state {
            BreakerState::Closed => concurrency,
            BreakerState::Recovering { limit } => limit.min(concurrency),
            BreakerState::Open { .. } => 1,
        }
    }

    /// The earliest time of the next attempt.
    pub fn not_before(&self) -> Moment {
        match self.state {
            BreakerState::Open { next_probe, .. } => next_probe,
            _ => Moment::default(),
        }
    }

    /// Whether the circuit is open: only probes are sent.
    pub fn is_open(&self) -> bool {
        matches!(self.state, BreakerState::Open { .. })
    }

    /// Makes the next probe due immediately and restarts its backoff, because the listener has
    /// changed.
    pub fn probe_now(&mut self) {
        if let BreakerState::Open { probes, next_probe, .. } = &mut self.state {
            (*probes, *next_probe) = (0, Moment::default());
        }
    }

    /// Records the start of an attempt.
    pub fn record_start(&mut self) {
        if let BreakerState::Open { is_probe_in_flight, .. } = &mut self.state {
            *is_probe_in_flight = true;
        }
    }

    /// Records an attempt that shows nothing about the listener, such as one without a call.
    pub fn record_inconclusive(&mut self) {
        if let BreakerState::Open { is_probe_in_flight, .. } = &mut self.state {
            *is_probe_in_flight = false;
        }
    }

    /// Records an answer of the listener. Returns the reachability if it has to be reported.
    pub fn record_answer(&mut self, concurrency: usize) -> Option<Reachability> {
        self.consecutive_failures = 0;
        self.state = match self.state {
            BreakerState::Open { .. } => BreakerState::Recovering { limit: 1 },
            BreakerState::Recovering { limit } if 2 * limit < concurrency => {
                BreakerState::Recovering { limit: 2 * limit }
            }
            BreakerState::Closed | BreakerState::Recovering { .. } => BreakerState::Closed,
        };
        let is_new = self.reported != LastReport::Reachable;
        self.reported = LastReport::Reachable;
        is_new.then_some(Reachability::Reachable)
    }

    /// Records a failure of the listener. Returns the reachability if it has to be reported.
    pub fn record_failure(&mut self, why: &str, now: Moment) -> Option<Reachability> {
        if self.consecutive_failures == 0 {
            self.failing_since = now;
        }
        self.consecutive_failures = self.consecutive_failures.saturating_add(1);
        self.state = match self.state {
            // This attempt started before the circuit opened, so it is no probe and does not delay
            // one.
            BreakerState::Open { is_probe_in_flight: false, probes, next_probe } => {
                BreakerState::Open { is_probe_in_flight: false, probes, next_probe }
            }
            BreakerState::Open { probes, .. } => open(probes + 1, now),
            _ if self.consecutive_failures >= FAILURE_THRESHOLD => open(1, now),
            BreakerState::Recovering { limit } => {
                BreakerState::Recovering { limit: (limit / 2).max(1) }
            }
            BreakerState::Closed => BreakerState::Closed,
        };
        let is_reported = matches!(&self.reported, LastReport::Unreachable(last) if **last == *why);
        if !self.is_open() || is_reported {
            return None;
        }
        self.reported = LastReport::Unreachable(why.into());
        let (since, failures) = (self.failing_since, self.consecutive_failures);
        Some(Reachability::Unreachable { since, why: why.into(), failures })
    }
}

fn open(probes: u32, now: Moment) -> BreakerState {
    let next_probe = now + backoff::delay(FIRST_PROBE_DELAY, probes, MAX_PROBE_DELAY);
    BreakerState::Open { probes, next_probe, is_probe_in_flight: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment(1_000_000);

    fn opened() -> CircuitBreaker {
        let mut breaker = CircuitBreaker::default();
        (0..FAILURE_THRESHOLD).for_each(|_| drop(breaker.record_failure("it broke", NOW)));
        breaker
    }

    #[test]
    fn consecutive_failures_open_the_circuit_and_an_answer_between_them_restarts_the_count() {
        let mut breaker = CircuitBreaker::default();
        for _ in 0..FAILURE_THRESHOLD - 1 {
            assert_eq!(breaker.record_failure("it broke", NOW), None);
        }
        assert_eq!(breaker.record_answer(16), Some(Reachability::Reachable));
        for second in 0..u64::from(FAILURE_THRESHOLD) - 1 {
            assert_eq!(breaker.record_failure("it broke", NOW + Duration::from_secs(second)), None);
        }
        assert_eq!((breaker.limit(16), breaker.is_open()), (16, false));
        let report = breaker.record_failure("it broke", NOW + Duration::from_secs(60));
        let why = "it broke".into();
        let unreachable =
            Reachability::Unreachable { since: NOW, why, failures: FAILURE_THRESHOLD };
        assert_eq!(report, Some(unreachable));
        assert_eq!((breaker.limit(16), breaker.is_open()), (1, true));
    }

    #[test]
    fn the_delay_of_a_probe_doubles_up_to_a_minute() {
        let (mut breaker, mut now) = (opened(), NOW);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            let wait = breaker.not_before().since(now);
            let longest = Duration::from_secs(seconds);
            assert!(longest / 2 <= wait && wait <= longest, "{wait:?} of {longest:?}");
            now = breaker.not_before();
            breaker.record_start();
            assert_eq!(breaker.record_failure("it broke", now), None);
        }
    }

    #[test]
    fn an_attempt_that_was_in_flight_when_the_circuit_opened_does_not_delay_the_probe() {
        let mut breaker = opened();
        let next = breaker.not_before();
        assert_eq!(breaker.record_failure("it broke", NOW + Duration::from_secs(9)), None);
        assert_eq!(breaker.not_before(), next);
    }

    #[test]
    fn a_different_failure_is_reported_and_the_same_one_is_not() {
        let mut breaker = opened();
        breaker.record_start();
        assert!(breaker.record_failure("it broke otherwise", NOW).is_some());
        breaker.record_start();
        assert!(breaker.record_failure("it broke otherwise", NOW).is_none());
        assert_eq!(breaker.record_answer(16), Some(Reachability::Reachable));
        assert_eq!(breaker.record_answer(16), None);
    }

    #[test]
    fn while_recovering_the_limit_doubles_with_each_answer_and_halves_with_each_failure() {
        let mut breaker = opened();
        let mut limits = Vec::new();
        for _ in 0..3 {
            let _ = breaker.record_answer(10);
            limits.push(breaker.limit(10));
        }
        let _ = breaker.record_failure("it broke", NOW);
        limits.push(breaker.limit(10));
        for _ in 0..3 {
            let _ = breaker.record_answer(10);
            limits.push(breaker.limit(10));
        }
        assert_eq!(limits, [1, 2, 4, 2, 4, 8, 10]);
    }

    #[test]
    fn a_change_makes_the_next_probe_due_immediately() {
        let mut breaker = opened();
        breaker.probe_now();
        assert!(breaker.not_before() <= NOW);
        breaker.record_start();
        let _ = breaker.record_failure("it broke", NOW);
        assert!(breaker.not_before().since(NOW) <= FIRST_PROBE_DELAY);
    }
}
