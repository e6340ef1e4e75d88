//! A cache whose entries expire, with a limited capacity.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The maximum number of entries.
const CAPACITY: usize = 1024;

/// Values by key, each cached for the same time.
pub struct Remembered<Q, A> {
    /// How long an entry is valid.
    lifetime: Duration,
    known: Mutex<HashMap<Q, (A, Instant)>>,
}

impl<Q: Eq + Hash, A: Clone> Remembered<Q, A> {
    /// An empty cache.
    pub fn new(lifetime: Duration) -> Self {
        Self { lifetime, known: Mutex::default() }
    }

    /// The value, if it is cached and has not expired.
    pub fn get(&self, question: &Q) -> Option<A> {
        let known = self.known();
        let (answer, since) = known.get(question)?;
        (since.elapsed() < self.lifetime).then(|| answer.clone())
    }

    /// Caches a value, unless the cache is full.
    pub fn insert(&self, question: Q, answer: A) {
        let mut known = self.known();
        if known.len() >= CAPACITY {
            known.retain(|_, (_, since)| since.elapsed() < self.lifetime);
        }
        if known.len() < CAPACITY {
            known.insert(question, (answer, Instant::now()));
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Q, (A, Instant)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn answers_are_forgotten_in_time_and_never_more_than_there_is_room_for() {
        let remembered = Remembered::new(Duration::from_secs(10));
        for question in 0..=CAPACITY {
            remembered.insert(question, question);
        }
        assert_eq!((remembered.get(&0), remembered.get(&CAPACITY)), (Some(0), None));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(remembered.get(&0), None);
        remembered.insert(CAPACITY, 7);
        assert_eq!((remembered.get(&CAPACITY), remembered.known().len()), (Some(7), 1));
    }
}
