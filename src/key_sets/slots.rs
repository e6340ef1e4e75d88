//! The slots in which fetches run: who waits for one, and who gets one that is free.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::schedule::{self, Fetch, Lane};
use crate::verify::jwt::WeakKeys;

/// The fetches that run and those that wait, as [`schedule::next`] decides.
#[derive(Default)]
pub struct Slots(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    next_id: u64,
    /// With the namespaces of when they began: whoever drops a URL while it is fetched gets its slot
    /// back only when the fetch ends, and cannot fill the slots by naming URLs and dropping them.
    running: Vec<(u64, Fetch)>,
    /// In the order in which they came.
    waiting: Vec<Waiting>,
}

struct Waiting {
    id: u64,
    fetch: Fetch,
    keys: WeakKeys,
    start: oneshot::Sender<()>,
}

/// A fetch's slot, or its place in the queue; given back when this is dropped.
pub struct Slot<'a> {
    slots: &'a Slots,
    id: u64,
}

impl Slots {
    /// Waits for a slot to fetch these keys in. Whoever stops waiting leaves the queue.
    pub async fn acquire(&self, keys: &WeakKeys, host: &Arc<str>, lane: Lane) -> Slot<'_> {
        let fetch = Fetch { namespaces: keys.namespaces(), host: host.clone(), lane };
        let (start, started) = oneshot::channel();
        let slot = self.enqueue(fetch, keys.clone(), start);
        // The sender is dropped unused only with this slot.
        let _ = started.await;
        slot
    }

    /// A further namespace uses a URL: what waits may start in its share.
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

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn start_waiting(&mut self) {
        while let Some(position) = self.next() {
            let Waiting { id, fetch, start, .. } = self.waiting.remove(position);
            self.running.push((id, fetch));
            // A receiver that is gone gives the slot back right after.
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
