//! Everything that is counted on a trigger's way, kept beside the routes: who finds a route can count.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use foldhash::fast::RandomState;
use http::StatusCode;
use uuid::Uuid;

use super::Id;
use super::counts::{AppCounts, Counts, Deaths, Outcomes};
use crate::histogram::Histogram;

/// Classes of statuses, by the words that `/metrics` has for them.
pub const CODES: [&str; 3] = ["2xx", "4xx", "5xx"];

/// What is counted since this process began.
#[derive(Debug)]
pub struct Meters {
    /// Of each webhook that something has happened to.
    pub webhooks: Counted<Id, Counts>,
    /// Of each app whose listener was called.
    pub apps: Counted<Uuid, AppCounts>,
    /// Triggers that no route takes.
    pub unrouted: Outcomes,
    /// Deliveries that were given up and whose webhook is gone.
    pub dead: Deaths,
    /// How long triggers took, by class of their status; see [`CODES`].
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
    /// Counts how long a trigger took that is answered with this status.
    pub fn answered(&self, status: StatusCode, took: Duration) {
        let class = match status.as_u16() {
            ..400 => 0,
            400..500 => 1,
            _ => 2,
        };
        self.took[class].time(took);
    }

    /// How long triggers took, by class of their status.
    pub fn took(&self) -> impl Iterator<Item = (&'static str, &Histogram)> {
        CODES.into_iter().zip(&self.took)
    }
}

/// How many maps the counts of webhooks are spread over.
const SHARDS: usize = 64;

/// The counts of those that something has happened to: the many others cost nothing.
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
    /// The counts of one.
    pub fn of(&self, key: K) -> Arc<V> {
        if let Some(known) = self.find(key) {
            return known;
        }
        let mut shard = self.shard(key).write().unwrap_or_else(PoisonError::into_inner);
        shard.entry(key).or_default().clone()
    }

    /// The counts of one that something has happened to.
    pub fn find(&self, key: K) -> Option<Arc<V>> {
        self.shard(key).read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    fn shard(&self, key: K) -> &RwLock<HashMap<K, Arc<V>, RandomState>> {
        &self.shards[(self.hasher.hash_one(key) >> 48) as usize % SHARDS]
    }

    /// Forgets those that are not known.
    pub fn retain(&self, is_known: impl Fn(K) -> bool) {
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|key, _| is_known(*key));
        }
    }

    /// All counts of those that `find` finds; the others are forgotten.
    pub fn known<T>(&self, find: impl Fn(K) -> Option<T>) -> Vec<(T, Arc<V>)> {
        let mut all = Vec::new();
        for shard in &self.shards {
            shard.write().unwrap_or_else(PoisonError::into_inner).retain(|key, counts| {
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
