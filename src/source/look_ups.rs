//! Which Services are to be looked up: a set, so that many apps that name one are one look-up.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::plan::Key;

/// Services that apps began to name. Bounded by the number of apps.
#[derive(Debug, Default)]
pub struct LookUps {
    services: Mutex<BTreeSet<Key>>,
    added: Notify,
}

impl LookUps {
    /// Adds Services.
    pub fn add(&self, services: impl IntoIterator<Item = Key>) {
        let mut set = self.services();
        set.extend(services);
        if !set.is_empty() {
            self.added.notify_one();
        }
    }

    /// Takes one; waits until there is one. For one caller at a time.
    pub async fn take(&self) -> Key {
        loop {
            let added = self.added.notified();
            if let Some(service) = self.services().pop_first() {
                return service;
            }
            added.await;
        }
    }

    /// Takes everything there is, without waiting.
    pub fn take_all(&self) -> BTreeSet<Key> {
        std::mem::take(&mut self.services())
    }

    fn services(&self) -> MutexGuard<'_, BTreeSet<Key>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
