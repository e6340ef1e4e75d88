//! How many bodies one client is sending to one app at once.
//!
//! A body is read before its signature is known, and takes one of the app's places while it is. One client takes at
//! most its share of them, so that bodies which trickle to a known URL leave places to the app's real senders.
//! Bodies that are there with their heads, as most are, are not counted: they keep no place waiting.
//!
//! The counts are two tables of fixed size (a count-min sketch), in which strangers make nothing grow. A client is
//! refused only if both of its counts are used up: with as many as a hundred clients at their share, another one is
//! refused by a chance of 1 in 6,000. The hash is another one in each process.

use std::future::poll_fn;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;

use foldhash::fast::RandomState;
use uuid::Uuid;

use crate::http::client_network;

/// Counts in each of the two tables; 32 KiB.
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
    /// Counts a body that a client sends to an app; `None` when it already sends `share` of them.
    pub fn enter(&self, app: Uuid, client: Option<IpAddr>, share: usize) -> Option<Reader<'_>> {
        let key = (app, client.map(client_network));
        let count = |(hasher, counts): &'_ (RandomState, Box<[AtomicU32]>)| {
            hasher.hash_one(key) as usize % counts.len()
        };
        let [first, second] = &self.tables;
        let reader = Reader([&first.1[count(first)], &second.1[count(second)]]);
        let before = reader.0.map(|count| count.fetch_add(1, Ordering::Relaxed) as usize);
        let least = before.into_iter().min().unwrap_or_default();
        (least < share).then_some(reader)
    }
}

/// Reads a body; `None` when it has to be waited for and may not be.
pub async fn wait<'a, T>(
    reading: impl Future<Output = T>,
    enter: impl FnOnce() -> Option<Reader<'a>>,
) -> Option<T> {
    let mut reading = pin!(reading);
    if let Poll::Ready(read) = poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx))).await {
        return Some(read);
    }
    let _reader = enter()?;
    Some(reading.await)
}

/// A body that is counted until this is dropped.
#[derive(Debug)]
pub struct Reader<'a>([&'a AtomicU32; 2]);

impl Drop for Reader<'_> {
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
