//! The dispatcher: what is due in the store is carried to listeners, app by app.
//!
//! One loop, on one thread: it hears from the store what is due, asks the [`schedule`] what to do, and
//! begins a task for each attempt. It sleeps until something happens or is due.

mod attempt;
mod body_budget;
mod circuit_breaker;
mod listener_snapshot;
mod schedule;

use std::collections::HashMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use http::{HeaderMap, StatusCode};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use uuid::Uuid;

use super::{ApiField, CallError, Caller, Pieces};
use crate::moment::Moment;
use crate::plan::Reachability;
use crate::routes::{App, AppId, Table, Target};
use crate::store::{News, Reason, Store, StoreError, Take, Taken};
use crate::traces::Traces;
use attempt::{Job, LEASE_SLACK};
use body_budget::BodyBudget;
use listener_snapshot::ListenerSnapshot;
pub use schedule::Limits;
use schedule::{End, Order, Schedule, Standing};

/// How long an app waits from which nothing could be taken: the store is busy.
const REST: Duration = Duration::from_millis(200);

/// How long the loop sleeps at most while something is due later: the system's clock may be set.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Between two looks at all apps, however often they change.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Calls a listener: [`Caller`], but for tests.
pub trait Call: Send + Sync + 'static {
    /// See [`Caller::call`].
    fn call(
        &self,
        target: &Target,
        headers: HeaderMap,
        body: Pieces,
        limit: Duration,
    ) -> impl Future<Output = Result<StatusCode, CallError>> + Send;
}

impl Call for Caller {
    fn call(
        &self,
        target: &Target,
        headers: HeaderMap,
        body: Pieces,
        limit: Duration,
    ) -> impl Future<Output = Result<StatusCode, CallError>> + Send {
        Self::call(self, target, headers, body, limit)
    }
}

/// What a dispatcher works with.
pub struct Parts<C> {
    /// Where deliveries come from, and where their attempts are recorded.
    pub store: Arc<dyn Store>,
    /// Where apps and webhooks are found. Every route has to be known.
    pub routes: Arc<Table>,
    /// Changes its value whenever routes or endpoints have changed.
    pub changes: watch::Receiver<u64>,
    /// Calls listeners, with connections of this runtime.
    pub caller: C,
    /// The field `api` of the calls of an app.
    pub api: Box<dyn Fn(&App) -> ApiField + Send + Sync>,
    /// Is told whether an app's listener answers, when that changes.
    pub tell: Box<dyn Fn(Uuid, Reachability) + Send + Sync>,
    /// Where attempts are recorded as spans.
    pub traces: Traces,
    /// The time.
    pub clock: fn() -> Moment,
    /// What there may be at once.
    pub limits: Limits,
    /// How long attempts that are under way have to end, once it is to stop.
    pub drain: Duration,
}

impl<C> fmt::Debug for Parts<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("store", &self.store).finish_non_exhaustive()
    }
}

/// Carries what is due to listeners.
#[derive(Debug)]
pub struct Dispatcher<C> {
    work: Arc<Work<C>>,
    news: Arc<News>,
    changes: watch::Receiver<u64>,
    schedule: Schedule,
    tasks: JoinSet<Dispatched>,
    /// Snapshots of the probed listeners, taken at their last failure: a change makes the next probe
    /// due immediately.
    probed: HashMap<AppId, ListenerSnapshot>,
    looks: Looks,
    /// Nothing more is begun.
    is_stopping: bool,
}

/// When all apps are looked at again.
#[derive(Debug)]
struct Looks {
    /// Whether something has changed since the last look.
    is_due: bool,
    /// Not before.
    next: Instant,
}

/// What tasks share.
#[derive(Debug)]
struct Work<C> {
    parts: Parts<C>,
    body_budget: BodyBudget,
}

/// How a task ended.
enum Dispatched {
    Taken { app: Arc<App>, most: usize, until: Moment, taken: Result<Taken, StoreError> },
    GaveUp { app: AppId, count: Result<usize, StoreError> },
    Ended { app: AppId, end: End },
    StoreFailed,
}

/// Whether to go on.
enum Flow {
    GoOn,
    /// The store has failed: there is nothing to work with.
    End,
}

impl<C: Call> Dispatcher<C> {
    /// A dispatcher that has not begun.
    pub fn new(parts: Parts<C>) -> Self {
        let (news, changes) = (parts.store.news(), parts.changes.clone());
        Self {
            schedule: Schedule::new(parts.limits),
            work: Arc::new(Work { parts, body_budget: BodyBudget::default() }),
            news,
            changes,
            tasks: JoinSet::new(),
            probed: HashMap::new(),
            looks: Looks { is_due: false, next: Instant::now() },
            is_stopping: false,
        }
    }

    /// Works until `stop` turns true, or the store fails: what the store says of its health tells why.
    /// What is leased then and was not begun is left to the next start.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            self.give_orders();
            let wake = self.wakes();
            tokio::select! {
                news = self.news.take() => self.told(news),
                Some(task) = self.tasks.join_next() => {
                    if let Flow::End = self.ended(task.ok()) {
                        return;
                    }
                }
                () = changed(&mut self.changes), if !self.looks.is_due => self.looks.is_due = true,
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
            self.look_again();
        }
        self.is_stopping = true;
        let drain = self.work.parts.drain;
        if timeout(drain, self.finish()).await.is_err() {
            let count = self.tasks.len();
            tracing::warn!(count, "attempts were cut off: they are made again after the start");
        }
    }

    fn now(&self) -> Moment {
        (self.work.parts.clock)()
    }

    fn told(&mut self, news: HashMap<AppId, Moment>) {
        let now = self.now();
        news.into_iter().for_each(|(app, due)| self.schedule.told(app, due, now));
    }

    fn give_orders(&mut self) {
        let (now, work) = (self.now(), self.work.clone());
        while let Some(order) = self.schedule.next(now, |app| work.standing(app)) {
            match order {
                Order::Take { app, most } => self.take(app, most, now),
                Order::GiveUp { app } => self.give_up(app, now),
            }
        }
    }

    fn take(&mut self, id: AppId, most: usize, now: Moment) {
        // It was ready a moment ago; if it is no more, that is seen in the next turn.
        let app = self.work.parts.routes.owned_app(id).filter(|app| app.target.is_some());
        let Some(app) = app else {
            return self.schedule.not_taken(id, most, now, now);
        };
        let lease = app.timeout + LEASE_SLACK;
        let taken = self.work.parts.store.take(Take { app: id, most, now, lease });
        let until = now + lease;
        self.tasks.spawn(async move {
            let taken = taken.await;
            Dispatched::Taken { app, most, until, taken }
        });
    }

    fn give_up(&mut self, app: AppId, now: Moment) {
        let count = self.work.parts.store.give_up(app, Reason::AppDeleted, now);
        self.tasks.spawn(async move { Dispatched::GaveUp { app, count: count.await } });
    }

    /// A task has ended, and those that have by now.
    fn ended(&mut self, task: Option<Dispatched>) -> Flow {
        let (mut next, now) = (task, self.now());
        loop {
            // No task ends without a word: attempts catch panics, and the others cannot panic.
            let flow = next.map_or(Flow::GoOn, |task| self.heard(task, now));
            if let Flow::End = flow {
                return flow;
            }
            let Some(task) = self.tasks.try_join_next() else { return Flow::GoOn };
            next = task.ok();
        }
    }

    fn heard(&mut self, task: Dispatched, now: Moment) -> Flow {
        match task {
            Dispatched::Ended { app, end } => {
                if let Some(told) = self.schedule.ended(app, &end, now) {
                    self.tell(app, told);
                }
            }
            Dispatched::Taken { app, most, until, taken: Ok(taken) } => {
                let (id, next_due) = (app.id, taken.next_due);
                let count = if self.is_stopping { 0 } else { self.begin(&app, taken, until) };
                self.schedule.taken(id, most, count, next_due, now);
            }
            Dispatched::GaveUp { app, count: Ok(count) } => {
                self.schedule.given_up(app, count, now);
                if count > 0 {
                    let reason = Reason::AppDeleted.word();
                    let meters = self.work.parts.routes.meters();
                    meters.inspect(|meters| meters.dead.count(reason, count as u64));
                    tracing::warn!(count, "deliveries were given up: their app is gone");
                }
            }
            Dispatched::StoreFailed
            | Dispatched::Taken { taken: Err(StoreError::Failed(_)), .. }
            | Dispatched::GaveUp { count: Err(StoreError::Failed(_)), .. } => return Flow::End,
            Dispatched::Taken { app, most, taken: Err(_), .. } => {
                self.schedule.not_taken(app.id, most, now + REST, now);
            }
            Dispatched::GaveUp { app, count: Err(_) } => self.schedule.rest(app, now + REST, now),
        }
        Flow::GoOn
    }

    /// Begins attempts of what was taken, and says how many.
    fn begin(&mut self, app: &Arc<App>, taken: Taken, until: Moment) -> usize {
        let count = taken.leased.len();
        for leased in taken.leased {
            let (work, app) = (self.work.clone(), app.clone());
            self.tasks.spawn(async move {
                let id = app.id;
                let attempt = work.attempt(Job { app, leased, until });
                // One that panics must not take the room of others for ever.
                let end = || Dispatched::Ended { app: id, end: End::Unsettled(until) };
                AssertUnwindSafe(attempt).catch_unwind().await.unwrap_or_else(|_| end())
            });
        }
        count
    }

    fn tell(&mut self, id: AppId, told: Reachability) {
        if let Some(app) = self.work.parts.routes.owned_app(id) {
            // Not the UUID: it is a part of URLs.
            let (namespace, name) = (&*app.namespace, &*app.name);
            if let Reachability::Unreachable { why, failures, .. } = &told {
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
        (self.work.parts.tell)(id.uuid, told);
    }

    /// When to look what is to be done, if nothing happens before.
    fn wakes(&self) -> Option<Instant> {
        let due = self.schedule.wakes().map(|due| {
            let wait = due.since(self.now()).min(LONGEST_SLEEP);
            Instant::now() + wait
        });
        let look = self.looks.is_due.then_some(self.looks.next);
        due.into_iter().chain(look).min()
    }

    /// Looks at all apps, when something has changed and the last look was not just now.
    fn look_again(&mut self) {
        let instant = Instant::now();
        if !self.looks.is_due || instant < self.looks.next {
            return;
        }
        self.looks = Looks { is_due: false, next: instant + BETWEEN_LOOKS };
        let (now, work) = (self.now(), self.work.clone());
        self.schedule.look_again(now, |app| work.standing(app));
        let schedule = &mut self.schedule;
        self.probed.retain(|id, snapshot| {
            let Some(app) = work.parts.routes.owned_app(*id) else { return false };
            let current = ListenerSnapshot::of(app);
            if current != *snapshot {
                schedule.probe_now(*id, now);
                *snapshot = current;
            }
            true
        });
    }

    /// Waits for what is under way.
    async fn finish(&mut self) {
        while let Some(task) = self.tasks.join_next().await {
            let now = self.now();
            let flow = task.map_or(Flow::GoOn, |task| self.heard(task, now));
            if let Flow::End = flow {
                return;
            }
        }
    }
}

impl<C> Work<C> {
    fn standing(&self, app: AppId) -> Standing {
        match self.parts.routes.owned_app(app) {
            None => Standing::Missing,
            Some(app) if app.target.is_none() => Standing::Held,
            Some(app) => Standing::Ready { concurrency: app.concurrency },
        }
    }
}

/// Resolves at the next change; never, when there will be none any more.
async fn changed(changes: &mut watch::Receiver<u64>) {
    if changes.changed().await.is_err() {
        std::future::pending().await
    }
}
