//! Memory budget for large request bodies. A large body is loaded from the store right before its
//! call, and only while the budget has room for it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use crate::shares::Shares;

/// Bytes per semaphore permit: `acquire_many` takes a `u32`, too small to count large amounts of
/// memory in bytes.
const UNIT: usize = 1024;
/// Budget of all apps together, in units.
const TOTAL: usize = 64 * 1024;
/// Budget of one app, in units: enough for one body of the maximum size, and half of the total
/// remains for other apps.
const PER_APP: usize = TOTAL / 2;

/// Memory budget shared by all apps.
#[derive(Debug)]
pub struct BodyBudget {
    total: Arc<Semaphore>,
    apps: Shares<Uuid>,
}

/// Part of the budget, reserved for one body. Dropping it returns the memory to the budget.
#[derive(Debug)]
pub struct BodyPermit {
    _of_app: OwnedSemaphorePermit,
    _of_total: OwnedSemaphorePermit,
}

impl Default for BodyBudget {
    fn default() -> Self {
        Self { total: Arc::new(Semaphore::new(TOTAL)), apps: Shares::new(PER_APP) }
    }
}

impl BodyBudget {
    /// Waits until a body of `bytes` bytes of this app fits in the budget. A body that exceeds the
    /// app's budget waits for all of it.
    pub async fn acquire(&self, app: Uuid, bytes: usize) -> BodyPermit {
        // The cast is lossless: PER_APP fits in a u32.
        let units = bytes.div_ceil(UNIT).min(PER_APP) as u32;
        let _of_app = acquire(self.apps.of(app), units).await;
        let _of_total = acquire(self.total.clone(), units).await;
        BodyPermit { _of_app, _of_total }
    }
}

async fn acquire(semaphore: Arc<Semaphore>, units: u32) -> OwnedSemaphorePermit {
    semaphore.acquire_many_owned(units).await.expect("the semaphore is never closed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    const MIB: usize = 1024 * 1024;

    #[tokio::test]
    async fn one_app_waits_for_its_own_budget_and_leaves_memory_for_others() {
        let budget = BodyBudget::default();
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let first = budget.acquire(one, 32 * MIB).now_or_never().unwrap();
        assert!(budget.acquire(one, 1).now_or_never().is_none());
        let _second = budget.acquire(other, 100 * MIB).now_or_never().unwrap();
        assert!(budget.acquire(Uuid::from_u128(3), 1).now_or_never().is_none());
        drop(first);
        assert!(budget.acquire(one, 32 * MIB).now_or_never().is_some());
    }
}
