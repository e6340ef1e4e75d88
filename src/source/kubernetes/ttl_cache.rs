//! A cache whose entries expire, with a limited capacity.
//!
//! Own code instead of a crate such as `moka`: it has a few hundred entries and one lock, and
//! expires by the clock of the runtime, which tests can pause.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

/// The maximum number of entries.
const CAPACITY: usize = 1024;

/// Values by key, each cached for the same time.
pub struct TtlCache<K, V> {
    /// How long an entry is valid.
    ttl: Duration,
    entries: Mutex<HashMap<K, (V, Instant)>>,
}

impl<K: Eq + Hash, V: Clone> TtlCache<K, V> {
    /// An empty cache.
    pub fn new(ttl: Duration) -> Self {
        Self { ttl, entries: Mutex::default() }
    }

    /// The value, if it is cached and has not expired.
    pub fn get(&self, key: &K) -> Option<V> {
        let entries = self.entries();
        let (value, since) = entries.get(key)?;
        (since.elapsed() < self.ttl).then(|| value.clone())
    }

    /// Caches a value, unless the cache is full.
    pub fn insert(&self, key: K, value: V) {
        let mut entries = self.entries();
        if entries.len() >= CAPACITY {
            entries.retain(|_, (_, since)| since.elapsed() < self.ttl);
        }
        if entries.len() < CAPACITY {
            entries.insert(key, (value, Instant::now()));
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<K, (V, Instant)>> {
        self.entries.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn answers_are_forgotten_in_time_and_never_more_than_there_is_room_for() {
        let ttl_cache = TtlCache::new(Duration::from_secs(10));
        for key in 0..=CAPACITY {
            ttl_cache.insert(key, key);
        }
        assert_eq!((ttl_cache.get(&0), ttl_cache.get(&CAPACITY)), (Some(0), None));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(ttl_cache.get(&0), None);
        ttl_cache.insert(CAPACITY, 7);
        assert_eq!((ttl_cache.get(&CAPACITY), ttl_cache.entries().len()), (Some(7), 1));
    }
}
