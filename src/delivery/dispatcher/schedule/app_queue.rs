//! The state of one app's queue, and the next request to the store for it.

use std::time::Duration;

use super::run_queue::RunQueuePosition;
use super::{AppReadiness, AttemptResult, StoreRequest};
use crate::delivery::dispatcher::circuit_breaker::CircuitBreaker;
use crate::moment::Moment;
use crate::plan::Reachability;
use crate::routes::AppId;

/// The deliveries of one app, and its listener.
#[derive(Debug, Default)]
pub struct AppQueue {
    /// The earliest known due time of a delivery.
    due: Option<Moment>,
    readiness: LastReadiness,
    /// Attempts in flight, and those reserved for a pending request.
    in_flight: usize,
    /// Whether a request to the store is pending: at most one at a time.
    is_request_pending: bool,
    /// No request is made before this time.
    not_before: Moment,
    breaker: CircuitBreaker,
    /// The position in the run queue.
    pub position: RunQueuePosition,
}

/// The last observed [`AppReadiness`].
#[derive(Debug, Default)]
enum LastReadiness {
    /// Not observed yet; observed as soon as a delivery is due.
    #[default]
    Unknown,
    Ready(usize),
    NotReady,
    /// The deliveries are given up at `until`, unless the app is restored before.
    Missing {
        until: Moment,
    },
}

impl AppQueue {
    /// Records that a delivery is due at a time.
    pub fn mark_due(&mut self, due: Moment) {
        self.due = Some(self.due.map_or(due, |known| known.min(due)));
    }

    /// Updates the readiness of the app. The deliveries of a missing app are given up after
    /// `grace`.
    pub fn set_readiness(&mut self, readiness: AppReadiness, now: Moment, grace: Duration) {
        self.readiness = match (readiness, &self.readiness) {
            (AppReadiness::Ready { concurrency }, _) => LastReadiness::Ready(concurrency.max(1)),
            (AppReadiness::NotReady, _) => LastReadiness::NotReady,
            (AppReadiness::Missing, LastReadiness::Missing { until }) => {
                LastReadiness::Missing { until: *until }
            }
            (AppReadiness::Missing, _) => LastReadiness::Missing { until: now + grace },
        };
    }

    /// The time of the next request; `None` while the queue waits for an event.
    pub fn due_at(&self) -> Option<Moment> {
        let due = self.due.filter(|_| !self.is_request_pending)?;
        let at = match self.readiness {
            LastReadiness::Unknown => due,
            LastReadiness::NotReady => return None,
            // All deliveries are given up together, even those that are due much later.
            LastReadiness::Missing { until } => until,
            LastReadiness::Ready(_) if self.capacity() == 0 => return None,
            LastReadiness::Ready(_) => due.max(self.breaker.not_before()),
        };
        Some(at.max(self.not_before))
    }

    /// Makes the request that is due now, for at most `limit` deliveries.
    pub fn make_request(&mut self, app: AppId, limit: usize, now: Moment) -> Option<StoreRequest> {
        self.due_at().filter(|due_at| *due_at <= now)?;
        self.is_request_pending = true;
        // The store reports deliveries that become due from now on.
        self.due = None;
        if let LastReadiness::Missing { .. } = self.readiness {
            return Some(StoreRequest::GiveUp { app });
        }
        let limit = limit.min(self.capacity());
        self.in_flight += limit;
        Some(StoreRequest::Take { app, limit })
    }

    /// Completes a take request with `limit`, which returned `count` deliveries.
    pub fn finish_take(&mut self, limit: usize, count: usize, next_due: Option<Moment>) {
        self.is_request_pending = false;
        self.in_flight -= limit - count;
        if count > 0 {
            self.breaker.record_start();
        }
        next_due.into_iter().for_each(|due| self.mark_due(due));
    }

    /// Completes a give-up request. It gives up one batch: unless it was empty, there may be more.
    pub fn finish_give_up(&mut self, count: usize, now: Moment) {
        self.is_request_pending = false;
        if count > 0 {
            self.mark_due(now);
        }
    }

    /// Completes a failed request: the next one is made at `at`.
    pub fn retry_at(&mut self, at: Moment) {
        self.is_request_pending = false;
        self.not_before = at;
        self.mark_due(at);
    }

    /// Completes an attempt. Returns the reachability of the listener if it has to be reported.
    pub fn finish_attempt(&mut self, result: &AttemptResult, now: Moment) -> Option<Reachability> {
        self.in_flight -= 1;
        match result {
            AttemptResult::Answered => self.breaker.record_answer(self.concurrency()),
            AttemptResult::ListenerFailed(why) => self.breaker.record_failure(why, now),
            AttemptResult::NotSent => {
                self.breaker.record_inconclusive();
                None
            }
            AttemptResult::Unsettled(due) => {
                self.breaker.record_inconclusive();
                self.mark_due(*due);
                None
            }
        }
    }

    /// See [`CircuitBreaker::probe_now`].
    pub fn probe_now(&mut self) {
        self.breaker.probe_now();
    }

    /// See [`CircuitBreaker::is_open`].
    #[cfg(test)]
    pub fn is_open(&self) -> bool {
        self.breaker.is_open()
    }

    /// Whether the app is missing and nothing of it is due, pending or in flight.
    pub fn is_finished(&self) -> bool {
        let is_idle = self.due.is_none() && self.in_flight == 0 && !self.is_request_pending;
        is_idle && matches!(self.readiness, LastReadiness::Missing { .. })
    }

    /// How many more attempts may start now.
    fn capacity(&self) -> usize {
        self.breaker.limit(self.concurrency()).saturating_sub(self.in_flight)
    }

    fn concurrency(&self) -> usize {
        if let LastReadiness::Ready(concurrency) = self.readiness { concurrency } else { 1 }
    }
}
