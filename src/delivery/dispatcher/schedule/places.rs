//! Where apps stand: in line, or at the moment at which they get in line.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::BuildHasher;

use super::queue::Queue;
use crate::moment::Moment;
use crate::routes::AppId;

/// The line of apps that have something to do, and the moments at which others will have.
#[derive(Debug, Default)]
pub struct Places {
    line: VecDeque<AppId>,
    moments: BTreeSet<(Moment, AppId)>,
}

/// Where one app stands.
#[derive(Debug, Default)]
pub struct Place {
    in_line: bool,
    moment: Option<Moment>,
}

impl Places {
    /// Puts an app where it belongs. One that is in line stays there.
    pub fn put(&mut self, app: AppId, queue: &mut Queue, now: Moment) {
        let next = queue.next();
        let is_due = next.is_some_and(|next| next <= now);
        if is_due && !queue.place.in_line {
            queue.place.in_line = true;
            self.line.push_back(app);
        }
        let moment = next.filter(|_| !is_due);
        if moment != queue.place.moment {
            self.forget(app, queue);
            queue.place.moment = moment;
            self.moments.extend(moment.map(|moment| (moment, app)));
        }
    }

    /// The same; false, and nothing is left of it here, when the app is not worth an entry.
    pub fn keep(&mut self, app: AppId, queue: &mut Queue, now: Moment) -> bool {
        if queue.is_over() {
            // If it is in line, it is passed over there.
            self.forget(app, queue);
            return false;
        }
        self.put(app, queue, now);
        true
    }

    /// Takes the first app out of the line.
    pub fn pop(&mut self) -> Option<AppId> {
        self.line.pop_front()
    }

    /// Lets those get in line whose moment has come.
    pub fn wake<S: BuildHasher>(&mut self, queues: &mut HashMap<AppId, Queue, S>, now: Moment) {
        while let Some((_, app)) = self.moments.first().copied().filter(|first| first.0 <= now) {
            let Some(queue) = queues.get_mut(&app) else {
                self.moments.pop_first();
                continue;
            };
            self.put(app, queue, now);
        }
    }

    /// The first of the moments.
    pub fn first(&self) -> Option<Moment> {
        self.moments.first().map(|first| first.0)
    }

    fn forget(&mut self, app: AppId, queue: &mut Queue) {
        if let Some(moment) = queue.place.moment.take() {
            self.moments.remove(&(moment, app));
        }
    }
}

impl Place {
    /// It was taken out of the line.
    pub fn left_line(&mut self) {
        self.in_line = false;
    }
}
