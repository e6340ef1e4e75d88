//! The budget of failed signatures: rate-limits clients that cannot sign.
//!
//! A forged trigger costs reading its body and computing its signature. A client that has failed
//! [`BURST`] times at a webhook therefore gets one further try per [`PERIOD`]; in between it is
//! rejected before its body is read.
//!
//! An attacker must not be able to lock out the real sender. Failures are therefore counted per
//! client address and webhook, and after a valid signature no failure from that address counts for
//! [`TRUST`]. A client that shares the sender's address, for example behind a proxy that is not
//! trusted, can block it only until its first valid signature. A sender whose secret was wrong and
//! is then corrected waits for one period at most.
//!
//! The counts are a table of fixed size, so that attackers cannot make it grow. Two clients may
//! share a slot, but not by choice: the hash is keyed randomly per process.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use crate::http::client_network;
use crate::routes::Id;

/// The number of failures before rate limiting.
pub const BURST: u32 = 20;

/// The interval between further tries.
pub const PERIOD: Duration = Duration::from_secs(1);

/// The time for which failures of a client do not count after a valid signature.
pub const TRUST: Duration = Duration::from_secs(3600);

/// 128 KiB. If a thousand clients fail, a sender shares its slot with one of them with a
/// probability of 6 %.
const SLOTS: usize = 16 * 1024;

/// See the module. Lock-free; `now` must not be earlier than in [`Failures::new`].
#[derive(Debug)]
pub struct Failures {
    began: Instant,
    hasher: RandomState,
    slots: Box<[AtomicU64]>,
}

/// The record of a client as one number: a time, in milliseconds since the table was created, and
/// its meaning in the lowest bit.
#[derive(Clone, Copy, Debug)]
enum ClientRecord {
    /// The time at which all failures are forgiven, one per [`PERIOD`].
    Failed(u64),
    /// The time until which failures do not count.
    Trusted(u64),
}

impl ClientRecord {
    fn of(number: u64) -> Self {
        if number & 1 == 0 { Self::Failed(number >> 1) } else { Self::Trusted(number >> 1) }
    }

    fn number(self) -> u64 {
        match self {
            Self::Failed(until) => until << 1,
            Self::Trusted(until) => until << 1 | 1,
        }
    }
}

impl Failures {
    /// Creates an empty table.
    pub fn new(now: Instant) -> Self {
        let slots = (0..SLOTS).map(|_| AtomicU64::new(0)).collect();
        Self { began: now, hasher: RandomState::default(), slots }
    }

    /// Whether a client may try.
    ///
    /// # Errors
    /// The time until it may.
    pub fn check(&self, webhook: Id, client: Option<IpAddr>, now: Instant) -> Result<(), Duration> {
        let ClientRecord::Failed(until) =
            ClientRecord::of(self.slot(webhook, client).load(Ordering::Relaxed))
        else {
            return Ok(());
        };
        let allowed_from = until.saturating_sub(millis(PERIOD * (BURST - 1)));
        match allowed_from.saturating_sub(self.millis(now)) {
            0 => Ok(()),
            wait => Err(Duration::from_millis(wait)),
        }
    }

    /// Records an invalid signature.
    pub fn record_failure(&self, webhook: Id, client: Option<IpAddr>, now: Instant) {
        let now = self.millis(now);
        let counted = |number| {
            let until = match ClientRecord::of(number) {
                ClientRecord::Trusted(until) if until > now => return None,
                ClientRecord::Trusted(_) => now,
                ClientRecord::Failed(until) => until.max(now),
            };
            // Concurrent failures may exceed the burst, but do not extend the penalty beyond it.
            let most = now + millis(PERIOD * BURST);
            Some(ClientRecord::Failed((until + millis(PERIOD)).min(most)).number())
        };
        let slot = self.slot(webhook, client);
        let _ = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, counted);
    }

    /// Records a valid signature.
    pub fn record_success(&self, webhook: Id, client: Option<IpAddr>, now: Instant) {
        let (now, slot) = (self.millis(now), self.slot(webhook, client));
        // Written rarely: the cores share the cache lines of frequent senders.
        let known = ClientRecord::of(slot.load(Ordering::Relaxed));
        if !matches!(known, ClientRecord::Trusted(until) if until > now + millis(TRUST / 2)) {
            let trusted = ClientRecord::Trusted(now + millis(TRUST));
            slot.store(trusted.number(), Ordering::Relaxed);
        }
    }

    fn slot(&self, webhook: Id, client: Option<IpAddr>) -> &AtomicU64 {
        let hash = self.hasher.hash_one((webhook, client.map(client_network)));
        &self.slots[hash as usize % SLOTS]
    }

    fn millis(&self, now: Instant) -> u64 {
        millis(now.saturating_duration_since(self.began))
    }
}

fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};
    use uuid::Uuid;

    const WEBHOOK: Id = Id { app: Uuid::from_bytes([1; 16]), webhook: Uuid::from_bytes([2; 16]) };

    fn client(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    /// A table in which one client has used up its failures.
    fn used_up(who: Option<IpAddr>) -> (Failures, Instant) {
        let now = Instant::now();
        let failures = Failures::new(now);
        for _ in 0..BURST {
            assert_eq!(failures.check(WEBHOOK, who, now), Ok(()));
            failures.record_failure(WEBHOOK, who, now);
        }
        (failures, now)
    }

    #[test]
    fn a_client_that_failed_too_often_may_try_once_in_a_period() {
        let who = client("192.0.2.1");
        let (failures, mut now) = used_up(who);
        for _ in 0..3 {
            assert_eq!(failures.check(WEBHOOK, who, now), Err(PERIOD));
            now += PERIOD;
            assert_eq!(failures.check(WEBHOOK, who, now), Ok(()));
            failures.record_failure(WEBHOOK, who, now);
        }
        now += PERIOD * BURST;
        for _ in 0..BURST {
            assert_eq!(failures.check(WEBHOOK, who, now), Ok(()));
            failures.record_failure(WEBHOOK, who, now);
        }
        assert!(failures.check(WEBHOOK, who, now).is_err());
    }

    #[test]
    fn failures_that_were_under_way_together_cost_no_more_than_the_budget() {
        let who = client("192.0.2.1");
        let (failures, now) = used_up(who);
        (0..1000).for_each(|_| failures.record_failure(WEBHOOK, who, now));
        assert_eq!(failures.check(WEBHOOK, who, now), Err(PERIOD));
    }

    #[test]
    fn a_failure_counts_for_no_other_client_and_no_other_webhook() {
        let who = client("192.0.2.1");
        let (failures, now) = used_up(who);
        let refused = |webhook, who| failures.check(webhook, who, now).is_err();
        assert!(refused(WEBHOOK, who));
        let clients = (0..1000).map(|n| (WEBHOOK, Some(Ipv4Addr::from(n).into())));
        let webhooks = (0..1000).map(|n| (Id { app: Uuid::from_u128(n), ..WEBHOOK }, who));
        let others = clients.chain(webhooks).chain([(WEBHOOK, None)]);
        let neighbours = others.filter(|(webhook, who)| refused(*webhook, *who)).count();
        assert!(neighbours < 10, "{neighbours} of 2001 in one of {SLOTS} slots");
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_client() {
        let (failures, now) = used_up(client("2001:db8::1"));
        assert!(failures.check(WEBHOOK, client("2001:db8::ffff:2"), now).is_err());
        let others = (0..1000).map(|n| Ipv6Addr::new(0x2001, 0xdb9, 0, n, 0, 0, 0, 1).into());
        let refused = others.filter(|who| failures.check(WEBHOOK, Some(*who), now).is_err());
        assert!(refused.count() < 10);
    }

    #[test]
    fn clients_that_are_not_known_are_counted_together() {
        let (failures, now) = used_up(None);
        assert!(failures.check(WEBHOOK, None, now).is_err());
    }

    #[test]
    fn where_one_trigger_was_signed_well_no_failure_counts_for_a_while() {
        let who = client("192.0.2.1");
        let (failures, mut now) = used_up(who);
        failures.record_success(WEBHOOK, who, now);
        for _ in 0..10 * BURST {
            assert_eq!(failures.check(WEBHOOK, who, now), Ok(()));
            failures.record_failure(WEBHOOK, who, now);
        }
        now += TRUST;
        for _ in 0..BURST {
            assert_eq!(failures.check(WEBHOOK, who, now), Ok(()));
            failures.record_failure(WEBHOOK, who, now);
        }
        assert_eq!(failures.check(WEBHOOK, who, now), Err(PERIOD));
    }
}
