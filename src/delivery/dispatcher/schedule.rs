//! Which app's deliveries are attempted next, and how many of them. Pure: it is told what happens and
//! when, and asked what to do.
//!
//! Apps that have something due and room take turns. What one app has, how long its listener takes and
//! whether it answers at all, is nothing to another: none has more than its own attempts at once, and
//! a turn is short. Of an app that has nothing due there is an entry, and nothing else.

mod places;
mod queue;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;

use crate::moment::Moment;
use crate::plan::Reachability;
use crate::routes::AppId;
use places::Places;
use queue::Queue;

/// The default of `--app-deletion-grace`: long enough to notice that an app was deleted by mistake, and to
/// restore it.
const APP_DELETION_GRACE: Duration = Duration::from_secs(3600);

/// What there may be at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Attempts, of all apps together.
    pub attempts: usize,
    /// Requests to the store for something to attempt.
    pub takes: usize,
    /// Deliveries of one such request: how long a turn is.
    pub batch: usize,
    /// How long the deliveries of a missing app wait for it before they are given up.
    pub app_deletion_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { attempts: 4096, takes: 64, batch: 32, app_deletion_grace: APP_DELETION_GRACE }
    }
}

/// What there is to know of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its listener can be called.
    Ready {
        /// How many attempts it may make at once.
        concurrency: usize,
    },
    /// It cannot, until the app changes.
    Held,
    /// There is no such app.
    Missing,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Take deliveries of this app: answered by [`Schedule::taken`] or [`Schedule::not_taken`].
    Take {
        /// The app.
        app: AppId,
        /// How many at most.
        most: usize,
    },
    /// Give up deliveries of this app: answered by [`Schedule::given_up`] or [`Schedule::rest`].
    GiveUp {
        /// The app.
        app: AppId,
    },
}

impl Order {
    /// How many attempts it may lead to.
    fn attempts(self) -> usize {
        match self {
            Self::Take { most, .. } => most,
            Self::GiveUp { .. } => 0,
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The listener answered.
    Answered,
    /// The listener failed, in this way.
    Failing(Box<str>),
    /// There was nothing to call it with.
    Nothing,
    /// There was none, or there is no record of it: the delivery is due again at that moment.
    Unsettled(Moment),
}

/// The apps that have deliveries, and what is under way of each.
#[derive(Debug)]
pub struct Schedule {
    limits: Limits,
    queues: HashMap<AppId, Queue, RandomState>,
    places: Places,
    /// Attempts that are under way, and those that there is room kept for.
    in_flight: usize,
    /// Orders without an answer.
    orders: usize,
}

impl Schedule {
    /// A schedule that knows nothing.
    pub fn new(limits: Limits) -> Self {
        let (queues, places) = (HashMap::default(), Places::default());
        Self { limits, queues, places, in_flight: 0, orders: 0 }
    }

    /// Something of an app is due at a moment.
    pub fn told(&mut self, app: AppId, due: Moment, now: Moment) {
        let queue = self.queues.entry(app).or_default();
        queue.is_due(due);
        self.places.put(app, queue, now);
    }

    /// What to do next; nothing, when something has to happen first. `look` tells of an app.
    pub fn next(&mut self, now: Moment, look: impl Fn(AppId) -> Standing) -> Option<Order> {
        self.places.wake(&mut self.queues, now);
        loop {
            let room = self.limits.attempts - self.in_flight;
            if room == 0 || self.orders == self.limits.takes {
                return None;
            }
            let app = self.places.pop()?;
            let Some(queue) = self.queues.get_mut(&app) else { continue };
            queue.place.left_line();
            queue.see(look(app), now, self.limits.app_deletion_grace);
            let order = queue.order(app, self.limits.batch.min(room), now);
            self.places.put(app, queue, now);
            if let Some(order) = order {
                self.orders += 1;
                self.in_flight += order.attempts();
                return Some(order);
            }
        }
    }

    /// When there is something to do, if nothing happens before.
    pub fn wakes(&self) -> Option<Moment> {
        self.places.first()
    }

    /// Of `most` deliveries of an app that were asked for, `count` are being attempted, and there is
    /// another one at `next_due`.
    pub fn taken(
        &mut self,
        app: AppId,
        most: usize,
        count: usize,
        next_due: Option<Moment>,
        now: Moment,
    ) {
        self.orders -= 1;
        self.in_flight -= most - count;
        let Some(queue) = self.queues.get_mut(&app) else { return };
        queue.taken(most, count, next_due);
        self.places.put(app, queue, now);
    }

    /// Nothing could be taken of an app: it is asked for again at that moment.
    pub fn not_taken(&mut self, app: AppId, most: usize, again: Moment, now: Moment) {
        self.in_flight -= most;
        if let Some(queue) = self.queues.get_mut(&app) {
            queue.taken(most, 0, None);
        }
        self.rest(app, again, now);
    }

    /// So many deliveries of an app were given up.
    pub fn given_up(&mut self, app: AppId, count: usize, now: Moment) {
        self.orders -= 1;
        let Some(queue) = self.queues.get_mut(&app) else { return };
        queue.given_up(count, now);
        self.settle(app, now);
    }

    /// An order could not be carried out: the app is looked at again at that moment.
    pub fn rest(&mut self, app: AppId, again: Moment, now: Moment) {
        self.orders -= 1;
        let Some(queue) = self.queues.get_mut(&app) else { return };
        queue.rest(again);
        self.places.put(app, queue, now);
    }

    /// An attempt of an app has ended. Returns what is to be told of its listener.
    pub fn ended(&mut self, app: AppId, end: &End, now: Moment) -> Option<Reachability> {
        self.in_flight -= 1;
        let told = self.queues.get_mut(&app)?.ended(end, now);
        self.settle(app, now);
        told
    }

    /// Makes the next probe of an app's listener due immediately, because the listener has changed.
    pub fn probe_now(&mut self, app: AppId, now: Moment) {
        let Some(queue) = self.queues.get_mut(&app) else { return };
        queue.probe_now();
        self.places.put(app, queue, now);
    }

    /// Apps may have changed: those that are held may be so no more, others may be gone.
    pub fn look_again(&mut self, now: Moment, look: impl Fn(AppId) -> Standing) {
        let (places, grace) = (&mut self.places, self.limits.app_deletion_grace);
        self.queues.retain(|app, queue| {
            queue.see(look(*app), now, grace);
            places.keep(*app, queue, now)
        });
    }

    /// Puts a queue where it belongs; forgets it when its app is gone and nothing is left.
    fn settle(&mut self, app: AppId, now: Moment) {
        if let Some(queue) = self.queues.get_mut(&app)
            && !self.places.keep(app, queue, now)
        {
            self.queues.remove(&app);
        }
    }
}
