//! The budget of failed signatures: who cannot sign is not listened to for long.
//!
//! A forged trigger costs reading its body and computing its signature. So a client that has failed
//! [`BURST`] times with a webhook is let try again once in [`PERIOD`], and answered before its body is
//! read in between.
//!
//! A stranger must not be able to shut the real sender out, so what is counted is the client's
//! address with one webhook, and from where one trigger was signed well, no failure counts for
//! [`TRUST`]. Who shares the real sender's address, behind a proxy that is not among the trusted
//! ones say, can take its turn only until it has had one. A sender whose secret was wrong and is right
//! again waits for one period at most.
//!
//! The counts are a table of fixed size, in which strangers make nothing grow. Two clients may share a
//! place in it, which nobody can bring about on purpose: the places are drawn anew in each process.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use crate::http::client_network;
use crate::routes::Id;

/// Failures at once.
pub const BURST: u32 = 20;

/// After so long one more.
pub const PERIOD: Duration = Duration::from_secs(1);

/// How long a client that has signed well is not counted.
pub const TRUST: Duration = Duration::from_secs(3600);

/// 128 KiB. With one place taken by each of a thousand strangers, a sender meets one of
/// them in its own by a chance of 6 %.
const PLACES: usize = 16 * 1024;

/// See the module. Lock-free; `now` never goes back before the moment of [`Failures::new`].
#[derive(Debug)]
pub struct Failures {
    began: Instant,
    hasher: RandomState,
    places: Box<[AtomicU64]>,
}

/// What is known of a client, in one number: a moment, in milliseconds since the table began, and
/// in the lowest bit what it means.
#[derive(Clone, Copy, Debug)]
enum Standing {
    /// When all its failures are forgiven: [`PERIOD`] for each.
    Failed(u64),
    /// Until when none counts.
    Trusted(u64),
}

impl Standing {
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
    /// Nobody has failed yet.
    pub fn new(now: Instant) -> Self {
        let places = (0..PLACES).map(|_| AtomicU64::new(0)).collect();
        Self { began: now, hasher: RandomState::default(), places }
    }

    /// Whether a client is listened to.
    ///
    /// # Errors
    /// The time until it is.
    pub fn check(&self, webhook: Id, client: Option<IpAddr>, now: Instant) -> Result<(), Duration> {
        let Standing::Failed(until) =
            Standing::of(self.place(webhook, client).load(Ordering::Relaxed))
        else {
            return Ok(());
        };
        let listened_to = until.saturating_sub(millis(PERIOD * (BURST - 1)));
        match listened_to.saturating_sub(self.millis(now)) {
            0 => Ok(()),
            wait => Err(Duration::from_millis(wait)),
        }
    }

    /// A client's signature was wrong.
    pub fn failed(&self, webhook: Id, client: Option<IpAddr>, now: Instant) {
        let now = self.millis(now);
        let counted = |number| {
            let until = match Standing::of(number) {
                Standing::Trusted(until) if until > now => return None,
                Standing::Trusted(_) => now,
                Standing::Failed(until) => until.max(now),
            };
            // What was under way together may exceed the budget, but is not made up for.
            let most = now + millis(PERIOD * BURST);
            Some(Standing::Failed((until + millis(PERIOD)).min(most)).number())
        };
        let place = self.place(webhook, client);
        let _ = place.fetch_update(Ordering::Relaxed, Ordering::Relaxed, counted);
    }

    /// A client's signature was right.
    pub fn passed(&self, webhook: Id, client: Option<IpAddr>, now: Instant) {
        let (now, place) = (self.millis(now), self.place(webhook, client));
        // Written seldom: the cores share the places of senders that sign well.
        let known = Standing::of(place.load(Ordering::Relaxed));
        if !matches!(known, Standing::Trusted(until) if until > now + millis(TRUST / 2)) {
            let trusted = Standing::Trusted(now + millis(TRUST));
            place.store(trusted.number(), Ordering::Relaxed);
        }
    }

    fn place(&self, webhook: Id, client: Option<IpAddr>) -> &AtomicU64 {
        let hash = self.hasher.hash_one((webhook, client.map(client_network)));
        &self.places[hash as usize % PLACES]
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

    /// A table in which a client has failed as often as it may.
    fn used_up(who: Option<IpAddr>) -> (Failures, Instant) {
        let now = Instant::now();
        let failures = Failures::new(now);
        for _ in 0..BURST {
            assert_eq!(failures.check(WEBHOOK, who, now), Ok(()));
            failures.failed(WEBHOOK, who, now);
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
            failures.failed(WEBHOOK, who, now);
        }
        now += PERIOD * BURST;
        for _ in 0..BURST {
            assert_eq!(failures.check(WEBHOOK, who, now), Ok(()));
            failures.failed(WEBHOOK, who, now);
        }
        assert!(failures.check(WEBHOOK, who, now).is_err());
    }

    #[test]
    fn failures_that_were_under_way_together_cost_no_more_than_the_budget() {
        let who = client("192.0.2.1");
        let (failures, now) = used_up(who);
        (0..1000).for_each(|_| failures.failed(WEBHOOK, who, now));
        assert_eq!(failures.check(WEBHOOK, who, now), Err(PERIOD));
    }

    #[test]
    fn nobody_pays_for_another_client_or_another_webhook() {
        let who = client("192.0.2.1");
        let (failures, now) = used_up(who);
        let refused = |webhook, who| failures.check(webhook, who, now).is_err();
        assert!(refused(WEBHOOK, who));
        let clients = (0..1000).map(|n| (WEBHOOK, Some(Ipv4Addr::from(n).into())));
        let webhooks = (0..1000).map(|n| (Id { app: Uuid::from_u128(n), ..WEBHOOK }, who));
        let others = clients.chain(webhooks).chain([(WEBHOOK, None)]);
        let neighbours = others.filter(|(webhook, who)| refused(*webhook, *who)).count();
        assert!(neighbours < 10, "{neighbours} of 2001 in one of {PLACES} places");
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
        failures.passed(WEBHOOK, who, now);
        for _ in 0..10 * BURST {
            assert_eq!(failures.check(WEBHOOK, who, now), Ok(()));
            failures.failed(WEBHOOK, who, now);
        }
        now += TRUST;
        for _ in 0..BURST {
            assert_eq!(failures.check(WEBHOOK, who, now), Ok(()));
            failures.failed(WEBHOOK, who, now);
        }
        assert_eq!(failures.check(WEBHOOK, who, now), Err(PERIOD));
    }
}
