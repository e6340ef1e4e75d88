//! Slots for running fetches, and the queue of fetches that wait for one.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use super::schedule::{self, Fetch, Lane};
use crate::verify::jwt::WeakKeys;

/// The running and the waiting fetches. [`schedule::next`] decides which one starts.
#[derive(Default)]
pub struct Slots(Mutex<FetchQueue>);

#[derive(Default)]
struct FetchQueue {
    next_id: u64,
    /// With the namespaces at the start of the fetch: a namespace that drops a URL during the fetch
    /// occupies the slot until the fetch ends. Otherwise it could fill all slots by adding and
    /// dropping URLs.
    running: Vec<(u64, Fetch)>,
    /// In the order of arrival.
    waiting: Vec<Waiting>,
}

struct Waiting {
    id: u64,
    fetch: Fetch,
    keys: WeakKeys,
    start: oneshot::Sender<()>,
}

/// The slot of a fetch, or its position in the queue. Released on drop.
pub struct Slot<'a> {
    slots: &'a Slots,
    id: u64,
}

impl Slots {
    /// Waits for a slot for a fetch of these keys. Cancel-safe: dropping the future leaves the
    /// queue.
    pub async fn acquire(&self, keys: &WeakKeys, host: &Arc<str>, lane: Lane) -> Slot<'_> {
        let fetch = Fetch { namespaces: keys.namespaces(), host: host.clone(), lane };
        let (start, started) = oneshot::channel();
        let slot = self.enqueue(fetch, keys.clone(), start);
        // Cannot fail: the sender is dropped unused only together with this slot.
        let _ = started.await;
        slot
    }

    /// Call this when another namespace uses a URL: waiting fetches may now start within its limit.
    pub fn users_changed(&self) {
        let mut queue = self.queue();
        for waiting in &mut queue.waiting {
            waiting.fetch.namespaces = waiting.keys.namespaces();
        }
        queue.start_waiting();
    }

    fn enqueue(&self, fetch: Fetch, keys: WeakKeys, start: oneshot::Sender<()>) -> Slot<'_> {
        let mut queue = self.queue();
        let id = queue.next_id;
        queue.next_id += 1;
        queue.waiting.push(Waiting { id, fetch, keys, start });
        queue.start_waiting();
        Slot { slots: self, id }
    }

    fn queue(&self) -> MutexGuard<'_, FetchQueue> {
        self.0.lock()
    }
}

impl FetchQueue {
    fn start_waiting(&mut self) {
        while let Some(position) = self.next() {
            let Waiting { id, fetch, start, .. } = self.waiting.remove(position);
            self.running.push((id, fetch));
            // If the receiver was dropped, its `Slot` is dropped next and releases the slot.
            let _ = start.send(());
        }
    }

    fn next(&self) -> Option<usize> {
        let running = self.running.iter().map(|(_, fetch)| fetch);
        schedule::next(running, self.waiting.iter().map(|waiting| &waiting.fetch))
    }

    fn remove(&mut self, id: u64) {
        self.running.retain(|(running, _)| *running != id);
        self.waiting.retain(|waiting| waiting.id != id);
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut queue = self.slots.queue();
        queue.remove(self.id);
        queue.start_waiting();
    }
}
