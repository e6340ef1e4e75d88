//! The metrics of the trigger path. They are stored with the routes, so that counting needs no
//! second lookup.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use http::StatusCode;
use parking_lot::RwLock;
use uuid::Uuid;

use super::Id;
use super::counts::{AppCounts, Counts, Deaths, Outcomes};
use crate::histogram::Histogram;

/// Status classes, as metric labels.
pub const CODES: [&str; 3] = ["2xx", "4xx", "5xx"];

/// The metrics since the process started.
#[derive(Debug)]
pub struct Meters {
    /// The counts of each active webhook.
    pub webhooks: Counted<Id, Counts>,
    /// The counts of each app whose listener was called.
    pub apps: Counted<Uuid, AppCounts>,
    /// Requests without a route.
    pub unrouted: Outcomes,
    /// Given-up deliveries of deleted webhooks.
    pub dead: Deaths,
    /// The durations of triggers by status class, see [`CODES`].
    took: [Histogram; CODES.len()],
}

impl Default for Meters {
    fn default() -> Self {
        let (webhooks, apps, unrouted, dead) = Default::default();
        Self {
            webhooks,
            apps,
            unrouted,
            dead,
            took: std::array::from_fn(|_| Histogram::of_times()),
        }
    }
}

impl Meters {
    /// Records the duration of a trigger with this response status.
    pub fn answered(&self, status: StatusCode, took: Duration) {
        let class = match status.as_u16() {
            ..400 => 0,
            400..500 => 1,
            _ => 2,
        };
        self.took[class].time(took);
    }

    /// The durations of triggers by status class.
    pub fn took(&self) -> impl Iterator<Item = (&'static str, &Histogram)> {
        CODES.into_iter().zip(&self.took)
    }
}

/// The number of maps that the counts are distributed over.
const SHARDS: usize = 64;

/// Counts by key. They are created on first use, so that inactive webhooks cost no memory.
#[derive(Debug)]
pub struct Counted<K, V> {
    hasher: RandomState,
    shards: [RwLock<HashMap<K, Arc<V>, RandomState>>; SHARDS],
}

impl<K, V> Default for Counted<K, V> {
    fn default() -> Self {
        let hasher = RandomState::default();
        let shards = std::array::from_fn(|_| RwLock::new(HashMap::with_hasher(hasher.clone())));
        Self { hasher, shards }
    }
}

impl<K: Copy + Eq + Hash, V: Default> Counted<K, V> {
    /// The counts of a key, created if missing.
    pub fn of(&self, key: K) -> Arc<V> {
        if let Some(known) = self.find(key) {
            return known;
        }
        let mut shard = self.shard(key).write();
        shard.entry(key).or_default().clone()
    }

    /// The counts of a key, if it has any.
    pub fn find(&self, key: K) -> Option<Arc<V>> {
        self.shard(key).read().get(&key).cloned()
    }

    fn shard(&self, key: K) -> &RwLock<HashMap<K, Arc<V>, RandomState>> {
        &self.shards[(self.hasher.hash_one(key) >> 48) as usize % SHARDS]
    }

    /// Removes the counts of keys that are not known.
    pub fn retain(&self, is_known: impl Fn(K) -> bool) {
        for shard in &self.shards {
            let mut shard = shard.write();
            shard.retain(|key, _| is_known(*key));
        }
    }

    /// The counts of all keys that `find` resolves; the others are removed.
    pub fn known<T>(&self, find: impl Fn(K) -> Option<T>) -> Vec<(T, Arc<V>)> {
        let mut all = Vec::new();
        for shard in &self.shards {
            shard.write().retain(|key, counts| {
                let found = find(*key);
                let is_known = found.is_some();
                all.extend(found.map(|found| (found, counts.clone())));
                is_known
            });
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_what_is_gone_are_forgotten() {
        let counted = Counted::<u32, Counts>::default();
        counted.of(1).delivered();
        counted.of(2).delivered();
        counted.of(2).delivered();
        let known = counted.known(|key| (key == 2).then_some(key));
        assert_eq!(known.len(), 1);
        assert_eq!((known[0].0, known[0].1.succeeded()), (2, 2));
        assert_eq!(counted.of(1).succeeded(), 0, "it began anew");
    }
}
