//! The order in which apps take turns: a queue of the apps that have something to do, and timers of
//! those that will have.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::BuildHasher;

use super::app_queue::AppQueue;
use crate::moment::Moment;
use crate::routes::AppId;

/// Ready apps in the order of their turns, and the timers of the others.
#[derive(Debug, Default)]
pub struct RunQueue {
    ready: VecDeque<AppId>,
    timers: BTreeSet<(Moment, AppId)>,
}

/// Position of one app in the [`RunQueue`].
#[derive(Debug, Default)]
pub struct RunQueuePosition {
    is_ready: bool,
    timer: Option<Moment>,
}

impl RunQueue {
    /// Appends an app to the ready queue if it is due, and sets its timer otherwise. An app that is
    /// in the ready queue keeps its turn.
    pub fn update(&mut self, app: AppId, queue: &mut AppQueue, now: Moment) {
        let due_at = queue.due_at();
        let is_due = due_at.is_some_and(|due_at| due_at <= now);
        if is_due && !queue.position.is_ready {
            queue.position.is_ready = true;
            self.ready.push_back(app);
        }
        let timer = due_at.filter(|_| !is_due);
        if timer != queue.position.timer {
            self.remove_timer(app, queue);
            queue.position.timer = timer;
            self.timers.extend(timer.map(|timer| (timer, app)));
        }
    }

    /// Like [`Self::update`], but returns false and removes the timer if the app's queue is
    /// finished and can be dropped.
    pub fn update_unless_finished(
        &mut self,
        app: AppId,
        queue: &mut AppQueue,
        now: Moment,
    ) -> bool {
        if queue.is_finished() {
            // An entry in the ready queue stays: `Schedule::next_request` skips unknown apps.
            self.remove_timer(app, queue);
            return false;
        }
        self.update(app, queue, now);
        true
    }

    /// Takes the first app from the ready queue.
    pub fn pop(&mut self) -> Option<AppId> {
        self.ready.pop_front()
    }

    /// Moves the apps whose timers have expired to the ready queue.
    pub fn expire_timers<S: BuildHasher>(
        &mut self,
        queues: &mut HashMap<AppId, AppQueue, S>,
        now: Moment,
    ) {
        while let Some((_, app)) = self.timers.first().copied().filter(|first| first.0 <= now) {
            let Some(queue) = queues.get_mut(&app) else {
                self.timers.pop_first();
                continue;
            };
            self.update(app, queue, now);
        }
    }

    /// When the next timer expires.
    pub fn next_timer(&self) -> Option<Moment> {
        self.timers.first().map(|first| first.0)
    }

    fn remove_timer(&mut self, app: AppId, queue: &mut AppQueue) {
        if let Some(timer) = queue.position.timer.take() {
            self.timers.remove(&(timer, app));
        }
    }
}

impl RunQueuePosition {
    /// Records that the app was taken from the ready queue.
    pub fn leave_ready_queue(&mut self) {
        self.is_ready = false;
    }
}
