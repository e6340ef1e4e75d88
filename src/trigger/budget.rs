//! How many bytes of bodies the server may hold in memory at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of bytes that all triggers share.
#[derive(Debug)]
pub struct Budget {
    used: AtomicUsize,
    total: usize,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(total: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), total })
    }

    /// Starts an account with nothing on it.
    pub fn account(self: &Arc<Self>) -> Account {
        Account { budget: Arc::clone(self), held: 0 }
    }
}

/// The bytes of one trigger; given back when it is dropped.
#[derive(Debug)]
pub struct Account {
    budget: Arc<Budget>,
    held: usize,
}

impl Account {
    /// Takes more bytes; false when the budget is used up.
    pub fn take(&mut self, bytes: usize) -> bool {
        self.held += bytes;
        self.budget.used.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.budget.total
    }
}

impl Drop for Account {
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
        drop((one, two));
        assert!(budget.account().take(10));
    }
}
