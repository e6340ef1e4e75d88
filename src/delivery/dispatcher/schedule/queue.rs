//! What is known of one app's deliveries, and what that makes of them.

use std::time::Duration;

use super::places::Place;
use super::{End, Order, Standing};
use crate::delivery::dispatcher::circuit_breaker::CircuitBreaker;
use crate::moment::Moment;
use crate::plan::Reachability;
use crate::routes::AppId;

/// The deliveries of one app, and its listener.
#[derive(Debug, Default)]
pub struct Queue {
    /// When the next one is due, as far as is known.
    due: Option<Moment>,
    seen: Seen,
    /// Attempts under way, and those that there is room kept for.
    in_flight: usize,
    /// Whether an order is without an answer: there is one at a time.
    ordered: bool,
    /// Nothing is ordered before.
    rests: Moment,
    breaker: CircuitBreaker,
    /// Where it stands among the others.
    pub place: Place,
}

/// [`Standing`], and since when.
#[derive(Debug, Default)]
enum Seen {
    /// Not yet looked at: it is as soon as something is due.
    #[default]
    Unseen,
    Ready(usize),
    Held,
    /// Its deliveries are given up at that moment, unless the app returns before.
    Missing {
        until: Moment,
    },
}

impl Queue {
    /// Something is due at a moment.
    pub fn is_due(&mut self, due: Moment) {
        self.due = Some(self.due.map_or(due, |known| known.min(due)));
    }

    /// Takes in how the app is. The deliveries of an app that is missing are given up after `grace`.
    pub fn see(&mut self, standing: Standing, now: Moment, grace: Duration) {
        self.seen = match (standing, &self.seen) {
            (Standing::Ready { concurrency }, _) => Seen::Ready(concurrency.max(1)),
            (Standing::Held, _) => Seen::Held,
            (Standing::Missing, Seen::Missing { until }) => Seen::Missing { until: *until },
            (Standing::Missing, _) => Seen::Missing { until: now + grace },
        };
    }

    /// When there is something to do; `None` when something has to happen first.
    pub fn next(&self) -> Option<Moment> {
        let due = self.due.filter(|_| !self.ordered)?;
        let at = match self.seen {
            Seen::Unseen => due,
            Seen::Held => return None,
            // What is due in a year is given up as soon as what is due now.
            Seen::Missing { until } => until,
            Seen::Ready(_) if self.room() == 0 => return None,
            Seen::Ready(_) => due.max(self.breaker.not_before()),
        };
        Some(at.max(self.rests))
    }

    /// What is to be done now, with as many deliveries as `most`.
    pub fn order(&mut self, app: AppId, most: usize, now: Moment) -> Option<Order> {
        self.next().filter(|next| *next <= now)?;
        self.ordered = true;
        // What comes to be due from here on is told.
        self.due = None;
        if let Seen::Missing { .. } = self.seen {
            return Some(Order::GiveUp { app });
        }
        let most = most.min(self.room());
        self.in_flight += most;
        Some(Order::Take { app, most })
    }

    /// The answer to an order to take.
    pub fn taken(&mut self, most: usize, count: usize, next_due: Option<Moment>) {
        self.ordered = false;
        self.in_flight -= most - count;
        if count > 0 {
            self.breaker.record_start();
        }
        next_due.into_iter().for_each(|due| self.is_due(due));
    }

    /// The answer to an order to give up.
    pub fn given_up(&mut self, count: usize, now: Moment) {
        self.ordered = false;
        if count > 0 {
            self.is_due(now);
        }
    }

    /// An order was not carried out.
    pub fn rest(&mut self, again: Moment) {
        self.ordered = false;
        self.rests = again;
        self.is_due(again);
    }

    /// An attempt ended. Returns what is to be told of the listener.
    pub fn ended(&mut self, end: &End, now: Moment) -> Option<Reachability> {
        self.in_flight -= 1;
        match end {
            End::Answered => self.breaker.record_answer(self.concurrency()),
            End::Failing(why) => self.breaker.record_failure(why, now),
            End::Nothing => {
                self.breaker.record_inconclusive();
                None
            }
            End::Unsettled(again) => {
                self.breaker.record_inconclusive();
                self.is_due(*again);
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

    /// Whether there is no such app, and nothing left of it.
    pub fn is_over(&self) -> bool {
        let is_idle = self.due.is_none() && self.in_flight == 0 && !self.ordered;
        is_idle && matches!(self.seen, Seen::Missing { .. })
    }

    fn room(&self) -> usize {
        self.breaker.limit(self.concurrency()).saturating_sub(self.in_flight)
    }

    fn concurrency(&self) -> usize {
        if let Seen::Ready(concurrency) = self.seen { concurrency } else { 1 }
    }
}
