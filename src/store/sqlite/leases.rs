//! Who may settle which delivery. Leases are in memory: one process owns the file, and when it dies all
//! of them end, so that what they held is due again.

use std::collections::HashMap;
use std::time::Duration;

use crate::moment::Moment;

/// The leases that were given. Bounded by the attempts that there are at once.
#[derive(Debug, Default)]
pub struct Leases {
    given: HashMap<i64, Given>,
    last_token: u64,
}

/// One lease.
#[derive(Clone, Copy, Debug)]
pub struct Given {
    token: u64,
    until: Moment,
    time: Duration,
}

impl Leases {
    /// Leases a delivery; a lease before it ends.
    pub fn give(&mut self, delivery: i64, now: Moment, time: Duration) -> u64 {
        self.last_token += 1;
        let given = Given { token: self.last_token, until: now + time, time };
        self.given.insert(delivery, given);
        self.last_token
    }

    /// When the lease of a delivery ends, if it has one that has not ended.
    pub fn until(&self, delivery: i64, now: Moment) -> Option<Moment> {
        self.given.get(&delivery).map(|given| given.until).filter(|until| *until > now)
    }

    /// Ends a lease if it is the last one of its delivery, be it over or not: as long as nobody else has
    /// leased the delivery, a late answer is as good as an early one.
    pub fn end(&mut self, delivery: i64, token: u64) -> Option<Given> {
        let is_current = self.given.get(&delivery).is_some_and(|given| given.token == token);
        if is_current { self.given.remove(&delivery) } else { None }
    }

    /// Ends whatever lease a delivery has.
    pub fn revoke(&mut self, delivery: i64) {
        self.given.remove(&delivery);
    }

    /// Takes back the end of a lease, and lets it last as long as it was meant to from now on: what it was
    /// ended for could not be written, and will be tried again.
    pub fn renew(&mut self, delivery: i64, given: Given, now: Moment) {
        self.given.insert(delivery, Given { until: now + given.time, ..given });
    }
}
