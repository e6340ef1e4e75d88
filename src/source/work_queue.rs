//! A work queue of object keys. A set, so that a key added several times is processed once.
//!
//! Own code instead of the scheduler of `kube-runtime`, which reconciles one kind through a watch of
//! its own: here the planner decides which objects may need a write.

use std::collections::BTreeSet;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use crate::plan::Key;

/// Keys to process. Bounded by the number of referenced objects.
#[derive(Debug, Default)]
pub struct WorkQueue {
    keys: Mutex<BTreeSet<Key>>,
    added: Notify,
}

impl WorkQueue {
    /// Adds keys.
    pub fn add(&self, keys: impl IntoIterator<Item = Key>) {
        let mut set = self.keys();
        set.extend(keys);
        if !set.is_empty() {
            self.added.notify_one();
        }
    }

    /// Takes one key; waits if there are none. For one caller at a time.
    pub async fn take(&self) -> Key {
        loop {
            let added = self.added.notified();
            if let Some(key) = self.keys().pop_first() {
                return key;
            }
            added.await;
        }
    }

    /// Takes all keys without waiting.
    pub fn take_all(&self) -> BTreeSet<Key> {
        std::mem::take(&mut self.keys())
    }

    fn keys(&self) -> MutexGuard<'_, BTreeSet<Key>> {
        self.keys.lock()
    }
}
