//! Memory for large bodies: they are read right before their call, as many as there is room for.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use crate::shares::Shares;

/// What is counted, in bytes: a semaphore's permits would not count the bytes of much memory.
const UNIT: usize = 1024;
/// Of all apps together, in units.
const TOTAL: usize = 64 * 1024;
/// Of one app, in units: one body of the largest kind, and another app still finds room.
const OF_ONE_APP: usize = TOTAL / 2;

/// Room that is shared by all apps.
#[derive(Debug)]
pub struct Room {
    total: Arc<Semaphore>,
    /// Of each app.
    apps: Shares<Uuid>,
}

/// Room that was taken; given back when it is dropped.
#[derive(Debug)]
pub struct Taken {
    _of_app: OwnedSemaphorePermit,
    _of_total: OwnedSemaphorePermit,
}

impl Default for Room {
    fn default() -> Self {
        Self { total: Arc::new(Semaphore::new(TOTAL)), apps: Shares::new(OF_ONE_APP) }
    }
}

impl Room {
    /// Waits for room for so many bytes of an app. A body that is larger than an app's share waits for
    /// all of it.
    pub async fn take(&self, app: Uuid, bytes: usize) -> Taken {
        // At most the share: it fits.
        let units = bytes.div_ceil(UNIT).min(OF_ONE_APP) as u32;
        let _of_app = acquire(self.apps.of(app), units).await;
        let _of_total = acquire(self.total.clone(), units).await;
        Taken { _of_app, _of_total }
    }
}

async fn acquire(semaphore: Arc<Semaphore>, units: u32) -> OwnedSemaphorePermit {
    semaphore.acquire_many_owned(units).await.expect("it is never closed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    const MIB: usize = 1024 * 1024;

    #[tokio::test]
    async fn one_app_waits_for_its_own_share_and_leaves_room_for_another() {
        let room = Room::default();
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let first = room.take(one, 32 * MIB).now_or_never().unwrap();
        assert!(room.take(one, 1).now_or_never().is_none());
        let _second = room.take(other, 100 * MIB).now_or_never().unwrap();
        assert!(room.take(Uuid::from_u128(3), 1).now_or_never().is_none());
        drop(first);
        assert!(room.take(one, 32 * MIB).now_or_never().is_some());
    }
}
