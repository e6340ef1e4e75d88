//! Decides which app's deliveries are attempted next, and how many of them. Pure: events and the
//! time are parameters.
//!
//! Apps with due deliveries and free capacity take turns. Each app has its own concurrency limit,
//! and a turn takes one short batch: neither the backlog of one app nor its slow or failing
//! listener delays the others. An app without due deliveries costs one map entry.

mod app_queue;
mod run_queue;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;

use crate::moment::Moment;
use crate::plan::Reachability;
use crate::routes::AppId;
use app_queue::AppQueue;
use run_queue::RunQueue;

/// The default of `--app-deletion-grace`: long enough to notice that an app was deleted by mistake,
/// and to restore it.
const APP_DELETION_GRACE: Duration = Duration::from_secs(3600);

/// Limits of the dispatcher, over all apps.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Maximum number of attempts in flight.
    pub attempts: usize,
    /// Maximum number of pending requests to the store.
    pub takes: usize,
    /// Maximum number of deliveries per request: the length of a turn.
    pub batch: usize,
    /// How long the deliveries of a missing app are kept before they are given up.
    pub app_deletion_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { attempts: 4096, takes: 64, batch: 32, app_deletion_grace: APP_DELETION_GRACE }
    }
}

/// Whether an app's listener can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppReadiness {
    /// The listener can be called.
    Ready {
        /// Maximum number of concurrent attempts.
        concurrency: usize,
    },
    /// The listener cannot be called until the app changes.
    NotReady,
    /// The app does not exist.
    Missing,
}

/// A request to the store that the dispatcher has to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreRequest {
    /// Take due deliveries; completed by [`Schedule::finish_take`] or [`Schedule::fail_take`].
    Take {
        /// The app.
        app: AppId,
        /// Maximum number of deliveries.
        limit: usize,
    },
    /// Give up deliveries; completed by [`Schedule::finish_give_up`] or [`Schedule::retry_at`].
    GiveUp {
        /// The app.
        app: AppId,
    },
}

impl StoreRequest {
    /// The number of attempts that the request may start.
    fn attempts(self) -> usize {
        match self {
            Self::Take { limit, .. } => limit,
            Self::GiveUp { .. } => 0,
        }
    }
}

/// Result of an attempt, as far as it concerns the schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptResult {
    /// The listener answered.
    Answered,
    /// The listener failed, with this error.
    ListenerFailed(Box<str>),
    /// Nothing was sent, because the event cannot be converted or transformed. The delivery is
    /// finished, or will be retried.
    NotSent,
    /// No attempt was made, or its record was not written. The delivery is due again at this time.
    Unsettled(Moment),
}

/// The queues of all apps with deliveries.
#[derive(Debug)]
pub struct Schedule {
    limits: Limits,
    queues: HashMap<AppId, AppQueue, RandomState>,
    run_queue: RunQueue,
    /// Attempts in flight, and those reserved for pending requests.
    in_flight: usize,
    pending_requests: usize,
}

impl Schedule {
    /// An empty schedule.
    pub fn new(limits: Limits) -> Self {
        let (queues, run_queue) = (HashMap::default(), RunQueue::default());
        Self { limits, queues, run_queue, in_flight: 0, pending_requests: 0 }
    }

    /// Records that a delivery of an app is due at a time.
    pub fn mark_due(&mut self, app: AppId, due: Moment, now: Moment) {
        let queue = self.queues.entry(app).or_default();
        queue.mark_due(due);
        self.run_queue.update(app, queue, now);
    }

    /// Returns the next request to the store; `None` when nothing is due or a limit is reached.
    pub fn next_request(
        &mut self,
        now: Moment,
        readiness: impl Fn(AppId) -> AppReadiness,
    ) -> Option<StoreRequest> {
        self.run_queue.expire_timers(&mut self.queues, now);
        loop {
            let capacity = self.limits.attempts - self.in_flight;
            if capacity == 0 || self.pending_requests == self.limits.takes {
                return None;
            }
            let app = self.run_queue.pop()?;
            let Some(queue) = self.queues.get_mut(&app) else { continue };
            queue.position.leave_ready_queue();
            queue.set_readiness(readiness(app), now, self.limits.app_deletion_grace);
            let request = queue.make_request(app, self.limits.batch.min(capacity), now);
            self.run_queue.update(app, queue, now);
            if let Some(request) = request {
                self.pending_requests += 1;
                self.in_flight += request.attempts();
                return Some(request);
            }
        }
    }

    /// When [`Self::next_request`] has to be called again, if no event occurs before.
    pub fn next_wake(&self) -> Option<Moment> {
        self.run_queue.next_timer()
    }

    /// Completes a take request with `limit`: `count` attempts have started, and another delivery
    /// is due at `next_due`.
    pub fn finish_take(
        &mut self,
        app: AppId,
        limit: usize,
        count: usize,
        next_due: Option<Moment>,
        now: Moment,
    ) {
        self.pending_requests -= 1;
        self.in_flight -= limit - count;
        let Some(queue) = self.queues.get_mut(&app) else { return };
        queue.finish_take(limit, count, next_due);
        self.run_queue.update(app, queue, now);
    }

    /// Completes a failed take request; the next one is made at `at`.
    pub fn fail_take(&mut self, app: AppId, limit: usize, at: Moment, now: Moment) {
        self.in_flight -= limit;
        if let Some(queue) = self.queues.get_mut(&app) {
            queue.finish_take(limit, 0, None);
        }
        self.retry_at(app, at, now);
    }

    /// Completes a give-up request, which gave up `count` deliveries.
    pub fn finish_give_up(&mut self, app: AppId, count: usize, now: Moment) {
        self.pending_requests -= 1;
        let Some(queue) = self.queues.get_mut(&app) else { return };
        queue.finish_give_up(count, now);
        self.update_or_remove(app, now);
    }

    /// Completes a failed request; the next one for the app is made at `at`.
    pub fn retry_at(&mut self, app: AppId, at: Moment, now: Moment) {
        self.pending_requests -= 1;
        let Some(queue) = self.queues.get_mut(&app) else { return };
        queue.retry_at(at);
        self.run_queue.update(app, queue, now);
    }

    /// Completes an attempt. Returns the reachability of the listener if it has to be reported.
    pub fn finish_attempt(
        &mut self,
        app: AppId,
        result: &AttemptResult,
        now: Moment,
    ) -> Option<Reachability> {
        self.in_flight -= 1;
        let report = self.queues.get_mut(&app)?.finish_attempt(result, now);
        self.update_or_remove(app, now);
        report
    }

    /// Makes the next probe of an app's listener due immediately, because the listener has changed.
    pub fn probe_now(&mut self, app: AppId, now: Moment) {
        let Some(queue) = self.queues.get_mut(&app) else { return };
        queue.probe_now();
        self.run_queue.update(app, queue, now);
    }

    /// Updates the readiness of all apps, after apps have changed.
    pub fn refresh(&mut self, now: Moment, readiness: impl Fn(AppId) -> AppReadiness) {
        let (run_queue, grace) = (&mut self.run_queue, self.limits.app_deletion_grace);
        self.queues.retain(|app, queue| {
            queue.set_readiness(readiness(*app), now, grace);
            run_queue.update_unless_finished(*app, queue, now)
        });
    }

    fn update_or_remove(&mut self, app: AppId, now: Moment) {
        if let Some(queue) = self.queues.get_mut(&app)
            && !self.run_queue.update_unless_finished(app, queue, now)
        {
            self.queues.remove(&app);
        }
    }
}
