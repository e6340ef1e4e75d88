//! The memory budget of request bodies.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of bytes that all triggers share.
#[derive(Debug)]
pub struct Budget {
    used: AtomicUsize,
    total: usize,
}

impl Budget {
    /// Creates a budget of `total` bytes.
    pub fn new(total: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), total })
    }

    /// Opens an empty account.
    pub fn account(self: &Arc<Self>) -> BodyReservation {
        BodyReservation { budget: Arc::clone(self), held: 0 }
    }
}

/// The bytes that one trigger uses; dropping it returns them.
#[derive(Debug)]
pub struct BodyReservation {
    budget: Arc<Budget>,
    held: usize,
}

impl BodyReservation {
    /// Reserves more bytes; false if the budget is exceeded. They are returned in either case.
    pub fn take(&mut self, bytes: usize) -> bool {
        self.held += bytes;
        self.budget.used.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.budget.total
    }
}

impl BodyReservation {
    /// Returns a part of the reserved bytes.
    pub fn release(&mut self, bytes: usize) {
        let bytes = bytes.min(self.held);
        self.held -= bytes;
        self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for BodyReservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_trigger_holds_another_cannot_take_until_it_is_given_back() {
        let budget = Budget::new(10);
        let (mut one, mut two) = (budget.account(), budget.account());
        assert!(one.take(6) && two.take(4) && !two.take(1));
        one.release(5);
        assert_eq!(budget.used.load(Ordering::Relaxed), 6);
        drop((one, two));
        assert!(budget.account().take(10));
    }
}
