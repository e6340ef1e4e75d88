//! What is to be dealt with soon: a set, so that many reasons are one piece of work.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::plan::Key;

/// Objects that are to be dealt with. Bounded by the number of those that name them.
#[derive(Debug, Default)]
pub struct Due {
    keys: Mutex<BTreeSet<Key>>,
    added: Notify,
}

impl Due {
    /// Adds objects.
    pub fn add(&self, keys: impl IntoIterator<Item = Key>) {
        let mut set = self.keys();
        set.extend(keys);
        if !set.is_empty() {
            self.added.notify_one();
        }
    }

    /// Takes one; waits until there is one. For one caller at a time.
    pub async fn take(&self) -> Key {
        loop {
            let added = self.added.notified();
            if let Some(key) = self.keys().pop_first() {
                return key;
            }
            added.await;
        }
    }

    /// Takes everything there is, without waiting.
    pub fn take_all(&self) -> BTreeSet<Key> {
        std::mem::take(&mut self.keys())
    }

    fn keys(&self) -> MutexGuard<'_, BTreeSet<Key>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
