//! Answers of the cluster that are believed for a while: bounded in number and in age.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many answers are remembered.
const CAPACITY: usize = 1024;

/// Answers by question.
pub struct Remembered<Q, A> {
    /// How long an answer is believed.
    lifetime: Duration,
    known: Mutex<HashMap<Q, (A, Instant)>>,
}

impl<Q: Eq + Hash, A: Clone> Remembered<Q, A> {
    /// Remembers nothing yet.
    pub fn new(lifetime: Duration) -> Self {
        Self { lifetime, known: Mutex::default() }
    }

    /// The answer, if it is known and not too old.
    pub fn get(&self, question: &Q) -> Option<A> {
        let known = self.known();
        let (answer, since) = known.get(question)?;
        (since.elapsed() < self.lifetime).then(|| answer.clone())
    }

    /// Remembers an answer, if there is room.
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
