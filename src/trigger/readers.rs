//! Limits the bodies that one client sends to one app concurrently.
//!
//! A body is read before its signature is known, and uses one of the app's in-flight slots
//! meanwhile. A client gets at most a fixed fraction of them, so that slow bodies from one client
//! leave slots to the app's real senders. Most bodies arrive together with their heads; these are
//! not counted, as they hold no slot for long.
//!
//! The counts are two tables of fixed size (a count-min sketch), so that attackers cannot make them
//! grow. A client is rejected only if both of its counts are used up: with a hundred clients at
//! their limit, another one is rejected with a probability of 1 in 6,000. The hash is keyed
//! randomly per process.

use std::future::poll_fn;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;

use foldhash::fast::RandomState;
use uuid::Uuid;

use crate::http::client_network;

/// The number of counts in each of the two tables; 32 KiB.
const COUNTS: usize = 8 * 1024;

/// See the module. Lock-free.
#[derive(Debug)]
pub struct Readers {
    tables: [(RandomState, Box<[AtomicU32]>); 2],
}

impl Default for Readers {
    fn default() -> Self {
        let table = || {
            let counts = (0..COUNTS).map(|_| AtomicU32::new(0)).collect();
            (RandomState::default(), counts)
        };
        Self { tables: [table(), table()] }
    }
}

impl Readers {
    /// Counts a body from a client to an app; `None` if `share` of them are in progress.
    pub fn enter(
        &self,
        app: Uuid,
        client: Option<IpAddr>,
        share: usize,
    ) -> Option<CountedBody<'_>> {
        let key = (app, client.map(client_network));
        let count = |(hasher, counts): &'_ (RandomState, Box<[AtomicU32]>)| {
            hasher.hash_one(key) as usize % counts.len()
        };
        let [first, second] = &self.tables;
        let reader = CountedBody([&first.1[count(first)], &second.1[count(second)]]);
        let before = reader.0.map(|count| count.fetch_add(1, Ordering::Relaxed) as usize);
        let least = before.into_iter().min().unwrap_or_default();
        (least < share).then_some(reader)
    }
}

/// Reads a body. If it is not complete yet, `enter` must succeed before waiting; else `None`.
pub async fn wait<'a, T>(
    reading: impl Future<Output = T>,
    enter: impl FnOnce() -> Option<CountedBody<'a>>,
) -> Option<T> {
    let mut reading = pin!(reading);
    if let Poll::Ready(read) = poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx))).await {
        return Some(read);
    }
    let _reader = enter()?;
    Some(reading.await)
}

/// A counted body; dropping it ends the count.
#[derive(Debug)]
pub struct CountedBody<'a>([&'a AtomicU32; 2]);

impl Drop for CountedBody<'_> {
    fn drop(&mut self) {
        for count in self.0 {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_has_its_share_of_each_app_and_what_is_refused_costs_nothing() {
        let readers = Readers::default();
        let (app, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let client = |text: &str| Some(text.parse().unwrap());
        let enter = |app, client| readers.enter(app, client, 2);
        let held = [enter(app, client("2001:db8::1")), enter(app, client("2001:db8::2"))];
        assert!(held.iter().all(Option::is_some));
        for _ in 0..9 {
            assert!(enter(app, client("2001:db8::3")).is_none(), "a /64 is one client");
        }
        assert!(enter(other, client("2001:db8::1")).is_some());
        assert!(enter(app, client("192.0.2.1")).is_some() && enter(app, None).is_some());
        drop(held);
        assert!(enter(app, client("2001:db8::3")).is_some());
        let mut counts = readers.tables.iter().flat_map(|(_, counts)| counts);
        assert!(counts.all(|count| count.load(Ordering::Relaxed) == 0));
    }
}
