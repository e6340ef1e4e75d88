//! A semaphore for each key, so that one of many holders takes no more than its share.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

/// The semaphores of those that hold or wait for a permit; others cost nothing.
#[derive(Debug)]
pub struct Shares<K> {
    permits: usize,
    semaphores: Mutex<HashMap<K, Weak<Semaphore>>>,
}

impl<K: Eq + Hash> Shares<K> {
    /// So many permits for each key.
    pub fn new(permits: usize) -> Self {
        Self { permits, semaphores: Mutex::default() }
    }

    /// The semaphore of a key. It is never closed.
    pub fn of(&self, key: K) -> Arc<Semaphore> {
        let mut semaphores = self.semaphores.lock();
        if let Some(known) = semaphores.get(&key).and_then(Weak::upgrade) {
            return known;
        }
        semaphores.retain(|_, known| known.strong_count() > 0);
        let fresh = Arc::new(Semaphore::new(self.permits));
        semaphores.insert(key, Arc::downgrade(&fresh));
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keys_that_hold_nothing_are_forgotten() {
        let shares = Shares::new(2);
        for key in 0..100 {
            drop(shares.of(key).acquire_owned().await.unwrap());
        }
        assert_eq!(shares.semaphores.lock().len(), 1);
    }
}
