//! Leases of deliveries. They are kept in memory, as one process owns the file: when it exits, all
//! leases end, and their deliveries are due again. `docs/design/leases.md` has the reasons.

use std::collections::HashMap;
use std::time::Duration;

use crate::moment::Moment;

/// The active leases. Bounded by the number of concurrent attempts.
#[derive(Debug, Default)]
pub struct Leases {
    active: HashMap<i64, ActiveLease>,
    last_token: u64,
}

/// The lease of a delivery.
#[derive(Clone, Copy, Debug)]
pub struct ActiveLease {
    token: u64,
    until: Moment,
    duration: Duration,
}

impl Leases {
    /// Leases a delivery, and returns the token. An earlier lease of the delivery ends.
    pub fn grant(&mut self, delivery: i64, now: Moment, duration: Duration) -> u64 {
        self.last_token += 1;
        let lease = ActiveLease { token: self.last_token, until: now + duration, duration };
        self.active.insert(delivery, lease);
        self.last_token
    }

    /// When the lease of a delivery expires; `None` if it has no lease or an expired one.
    pub fn until(&self, delivery: i64, now: Moment) -> Option<Moment> {
        self.active.get(&delivery).map(|lease| lease.until).filter(|until| *until > now)
    }

    /// Ends a lease if it is the latest one of its delivery. An expired lease is valid until the
    /// delivery is leased again, so that the result of a late attempt is not lost.
    pub fn end(&mut self, delivery: i64, token: u64) -> Option<ActiveLease> {
        let is_current = self.active.get(&delivery).is_some_and(|lease| lease.token == token);
        if is_current { self.active.remove(&delivery) } else { None }
    }

    /// Ends the lease of a delivery, if it has one.
    pub fn revoke(&mut self, delivery: i64) {
        self.active.remove(&delivery);
    }

    /// Restores an ended lease with its full duration, after the transaction that settled the
    /// delivery was rolled back. The caller settles it again.
    pub fn renew(&mut self, delivery: i64, lease: ActiveLease, now: Moment) {
        let lease = ActiveLease { until: now + lease.duration, ..lease };
        self.active.insert(delivery, lease);
    }
}
