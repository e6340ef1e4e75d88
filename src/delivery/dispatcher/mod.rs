//! The dispatcher: sends the stored deliveries that are due to their listeners.
//!
//! A single loop receives the apps with due deliveries from the store, asks the [`schedule`] for
//! the next request to the store, and spawns a task for each attempt. It sleeps until the next
//! event or due time.

mod attempt;
mod body_budget;
mod circuit_breaker;
mod listener_snapshot;
mod schedule;

use std::collections::HashMap;
use std::fmt;
use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use uuid::Uuid;

use super::{ApiField, Call};
use crate::moment::Moment;
use crate::plan::Reachability;
use crate::routes::{App, AppId, Table};
use crate::store::{DeadReason, DueApps, Queue, StoreError, Take, Taken};
use crate::traces::Traces;
use attempt::{AttemptJob, LEASE_SLACK};
use body_budget::BodyBudget;
use listener_snapshot::ListenerSnapshot;
pub use schedule::Limits;
use schedule::{AppReadiness, AttemptResult, Schedule, StoreRequest};

/// Delay before the next request for an app whose last one failed because the store was busy.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// Upper limit of a sleep until the next due time, because the system clock may be changed
/// meanwhile.
const MAX_SLEEP: Duration = Duration::from_secs(60);

/// Minimum interval between two refreshes of all apps, however often they change.
const REFRESH_INTERVAL: Duration = Duration::from_millis(100);

/// Dependencies and settings of a dispatcher.
pub struct Parts<C> {
    /// Provides the deliveries and records their attempts.
    pub queue: Arc<dyn Queue>,
    /// The routes of apps and webhooks. Has to be complete before the dispatcher runs: deliveries
    /// of an unknown app are given up after the grace period.
    pub routes: Arc<Table>,
    /// Changes its value with each change of routes or endpoints.
    pub changes: watch::Receiver<u64>,
    /// Calls listeners over connections of this runtime.
    pub caller: C,
    /// Creates the field `api` for the calls of an app.
    pub api: Box<dyn Fn(&App) -> ApiField + Send + Sync>,
    /// Called with the app's UUID when the reachability of its listener changes.
    pub tell: Box<dyn Fn(Uuid, Reachability) + Send + Sync>,
    /// Records attempts as spans.
    pub traces: Traces,
    /// Returns the current time.
    pub clock: fn() -> Moment,
    /// Concurrency limits.
    pub limits: Limits,
    /// How long a stopping dispatcher waits for the attempts in flight.
    pub drain: Duration,
}

impl<C> fmt::Debug for Parts<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("queue", &self.queue).finish_non_exhaustive()
    }
}

/// Sends due deliveries to listeners.
#[derive(Debug)]
pub struct Dispatcher<C> {
    context: Arc<TaskContext<C>>,
    due_apps: Arc<DueApps>,
    changes: watch::Receiver<u64>,
    schedule: Schedule,
    tasks: JoinSet<TaskResult>,
    /// Snapshots of the probed listeners, taken at their last failure: a change makes the next
    /// probe due immediately.
    probed: HashMap<AppId, ListenerSnapshot>,
    refresh: Refresh,
    /// While stopping, no new attempts start.
    is_stopping: bool,
}

/// When the readiness of all apps is refreshed.
#[derive(Debug)]
struct Refresh {
    /// Whether routes or endpoints have changed since the last refresh.
    is_due: bool,
    not_before: Instant,
}

/// Shared by all tasks.
#[derive(Debug)]
struct TaskContext<C> {
    parts: Parts<C>,
    body_budget: BodyBudget,
}

/// Result of a task.
enum TaskResult {
    Taken { app: Arc<App>, limit: usize, until: Moment, taken: Result<Taken, StoreError> },
    GaveUp { app: AppId, count: Result<usize, StoreError> },
    Ended { app: AppId, result: AttemptResult },
    StoreFailed,
}

impl<C: Call> Dispatcher<C> {
    /// A dispatcher; [`Self::run`] starts it.
    pub fn new(parts: Parts<C>) -> Self {
        let (due_apps, changes) = (parts.queue.due_apps(), parts.changes.clone());
        Self {
            schedule: Schedule::new(parts.limits),
            context: Arc::new(TaskContext { parts, body_budget: BodyBudget::default() }),
            due_apps,
            changes,
            tasks: JoinSet::new(),
            probed: HashMap::new(),
            refresh: Refresh { is_due: false, not_before: Instant::now() },
            is_stopping: false,
        }
    }

    /// Runs until `stop` turns true or the store fails permanently; the store's health reports the
    /// cause. Deliveries that are leased but not yet attempted are left to the next start.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            self.make_requests();
            let wake = self.next_wake();
            tokio::select! {
                due_apps = self.due_apps.take() => self.mark_due(due_apps),
                Some(task) = self.tasks.join_next() => {
                    if self.handle_finished(task.ok()).is_break() {
                        return;
                    }
                }
                () = changed(&mut self.changes), if !self.refresh.is_due => {
                    self.refresh.is_due = true;
                }
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
            self.refresh_if_due();
        }
        self.is_stopping = true;
        let drain = self.context.parts.drain;
        if timeout(drain, self.finish()).await.is_err() {
            let count = self.tasks.len();
            tracing::warn!(
                count,
                "shutdown interrupted attempts; they are repeated after the restart"
            );
        }
    }

    fn now(&self) -> Moment {
        (self.context.parts.clock)()
    }

    fn mark_due(&mut self, due_apps: HashMap<AppId, Moment>) {
        let now = self.now();
        due_apps.into_iter().for_each(|(app, due)| self.schedule.mark_due(app, due, now));
    }

    fn make_requests(&mut self) {
        let (now, context) = (self.now(), self.context.clone());
        while let Some(request) = self.schedule.next_request(now, |app| context.readiness(app)) {
            match request {
                StoreRequest::Take { app, limit } => self.take(app, limit, now),
                StoreRequest::GiveUp { app } => self.give_up(app, now),
            }
        }
    }

    fn take(&mut self, id: AppId, limit: usize, now: Moment) {
        // The app may have changed since the schedule checked it: its next turn sees the change.
        let app = self.context.parts.routes.owned_app(id).filter(|app| app.target.is_some());
        let Some(app) = app else {
            return self.schedule.fail_take(id, limit, now, now);
        };
        let lease = app.timeout + LEASE_SLACK;
        let concurrency = app.concurrency;
        let take = Take { app: id, most: limit, concurrency, now, lease };
        let taken = self.context.parts.queue.take(take);
        let until = now + lease;
        self.tasks.spawn(async move {
            let taken = taken.await;
            TaskResult::Taken { app, limit, until, taken }
        });
    }

    fn give_up(&mut self, app: AppId, now: Moment) {
        let count = self.context.parts.queue.give_up(app, DeadReason::AppDeleted, now);
        self.tasks.spawn(async move { TaskResult::GaveUp { app, count: count.await } });
    }

    /// Handles a finished task, and the others that have finished meanwhile.
    fn handle_finished(&mut self, task: Option<TaskResult>) -> ControlFlow<()> {
        let (mut next, now) = (task, self.now());
        loop {
            // `None` is a task that panicked. This does not happen: attempts catch panics, and the
            // other tasks cannot panic.
            let flow = next.map_or(ControlFlow::Continue(()), |task| self.handle(task, now));
            if flow.is_break() {
                return flow;
            }
            let Some(task) = self.tasks.try_join_next() else { return ControlFlow::Continue(()) };
            next = task.ok();
        }
    }

    fn handle(&mut self, task: TaskResult, now: Moment) -> ControlFlow<()> {
        match task {
            TaskResult::Ended { app, result } => {
                if let Some(reachability) = self.schedule.finish_attempt(app, &result, now) {
                    self.report(app, reachability);
                }
            }
            TaskResult::Taken { app, limit, until, taken: Ok(taken) } => {
                let (id, next_due) = (app.id, taken.next_due);
                let count =
                    if self.is_stopping { 0 } else { self.start_attempts(&app, taken, until) };
                self.schedule.finish_take(id, limit, count, next_due, now);
            }
            TaskResult::GaveUp { app, count: Ok(count) } => {
                self.schedule.finish_give_up(app, count, now);
                if count > 0 {
                    let meters = self.context.parts.routes.meters();
                    meters.inspect(|meters| {
                        meters.dead.count(DeadReason::AppDeleted, count as u64);
                    });
                    tracing::warn!(count, "gave up deliveries of an app that was deleted");
                }
            }
            TaskResult::StoreFailed
            | TaskResult::Taken { taken: Err(StoreError::Failed(_)), .. }
            | TaskResult::GaveUp { count: Err(StoreError::Failed(_)), .. } => {
                return ControlFlow::Break(());
            }
            TaskResult::Taken { app, limit, taken: Err(_), .. } => {
                self.schedule.fail_take(app.id, limit, now + RETRY_DELAY, now);
            }
            TaskResult::GaveUp { app, count: Err(_) } => {
                self.schedule.retry_at(app, now + RETRY_DELAY, now)
            }
        }
        ControlFlow::Continue(())
    }

    /// Spawns an attempt for each taken delivery. Returns their number.
    fn start_attempts(&mut self, app: &Arc<App>, taken: Taken, until: Moment) -> usize {
        let count = taken.leased.len();
        for leased in taken.leased {
            let (context, app) = (self.context.clone(), app.clone());
            self.tasks.spawn(async move {
                let id = app.id;
                let attempt = context.attempt(AttemptJob { app, leased, until });
                // An attempt that panics must still end, or it would count as in flight forever.
                let unsettled =
                    || TaskResult::Ended { app: id, result: AttemptResult::Unsettled(until) };
                AssertUnwindSafe(attempt).catch_unwind().await.unwrap_or_else(|_| unsettled())
            });
        }
        count
    }

    fn report(&mut self, id: AppId, reachability: Reachability) {
        if let Some(app) = self.context.parts.routes.owned_app(id) {
            // The UUID is not logged: it is part of trigger URLs.
            let (namespace, name) = (&*app.namespace, &*app.name);
            if let Reachability::Unreachable { why, failures, .. } = &reachability {
                tracing::warn!(
                    namespace,
                    app = name,
                    failures,
                    why,
                    "the circuit breaker of a listener is open: only probes are sent"
                );
                self.probed.insert(id, ListenerSnapshot::of(app));
            } else if self.probed.remove(&id).is_some() {
                tracing::info!(namespace, app = name, "a listener answers again");
            }
        }
        (self.context.parts.tell)(id.uuid, reachability);
    }

    /// When the loop has to wake up, if no event occurs before.
    fn next_wake(&self) -> Option<Instant> {
        let due = self.schedule.next_wake().map(|due| {
            let wait = due.since(self.now()).min(MAX_SLEEP);
            Instant::now() + wait
        });
        let refresh = self.refresh.is_due.then_some(self.refresh.not_before);
        due.into_iter().chain(refresh).min()
    }

    /// Refreshes the readiness of all apps, if something has changed and the minimum interval has
    /// passed. Probes the listeners that have changed since their last failure.
    fn refresh_if_due(&mut self) {
        let instant = Instant::now();
        if !self.refresh.is_due || instant < self.refresh.not_before {
            return;
        }
        self.refresh = Refresh { is_due: false, not_before: instant + REFRESH_INTERVAL };
        let (now, context) = (self.now(), self.context.clone());
        self.schedule.refresh(now, |app| context.readiness(app));
        let schedule = &mut self.schedule;
        self.probed.retain(|id, snapshot| {
            let Some(app) = context.parts.routes.owned_app(*id) else { return false };
            let current = ListenerSnapshot::of(app);
            if current != *snapshot {
                schedule.probe_now(*id, now);
                *snapshot = current;
            }
            true
        });
    }

    /// Waits for the tasks in flight.
    async fn finish(&mut self) {
        while let Some(task) = self.tasks.join_next().await {
            let now = self.now();
            let flow = task.map_or(ControlFlow::Continue(()), |task| self.handle(task, now));
            if flow.is_break() {
                return;
            }
        }
    }
}

impl<C> TaskContext<C> {
    fn readiness(&self, app: AppId) -> AppReadiness {
        match self.parts.routes.owned_app(app) {
            None => AppReadiness::Missing,
            Some(app) if app.target.is_none() => AppReadiness::NotReady,
            Some(app) => AppReadiness::Ready { concurrency: app.concurrency },
        }
    }
}

/// Resolves at the next change. Never resolves once the sender is dropped, so that the loop does
/// not spin.
async fn changed(changes: &mut watch::Receiver<u64>) {
    if changes.changed().await.is_err() {
        std::future::pending().await
    }
}
