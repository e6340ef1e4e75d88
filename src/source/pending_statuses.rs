//! The objects whose status may have to be written: a set, so that many changes of one object cause
//! one write.

use std::collections::BTreeSet;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::plan::{Key, Kind, ObjectRef};

/// How long the webhook count of an app's status may be outdated, so that creating many webhooks
/// does not write the app's status as many times.
const COUNT_DELAY: Duration = Duration::from_secs(1);

/// Objects whose status may be outdated. Bounded by the number of objects.
#[derive(Debug, Default)]
pub struct PendingStatuses {
    sets: Mutex<Sets>,
    added: Notify,
}

#[derive(Debug, Default)]
struct Sets {
    urgent: BTreeSet<ObjectRef>,
    counts: BTreeSet<Key>,
    /// When `counts` must be written.
    counts_due: Option<Instant>,
}

impl PendingStatuses {
    /// Adds objects to check, and apps with a changed webhook count.
    pub fn add(
        &self,
        urgent: impl IntoIterator<Item = ObjectRef>,
        counts: impl IntoIterator<Item = Key>,
    ) {
        let mut sets = self.sets();
        sets.urgent.extend(urgent);
        sets.counts.extend(counts);
        if !sets.counts.is_empty() && sets.counts_due.is_none() {
            sets.counts_due = Some(Instant::now() + COUNT_DELAY);
        }
        drop(sets);
        self.added.notify_one();
    }

    /// Takes the urgent objects, and the counts if they are due. Waits until the result is not
    /// empty. For one caller at a time.
    pub async fn take(&self) -> Vec<ObjectRef> {
        loop {
            let added = self.added.notified();
            let due = self.sets().counts_due;
            let is_due = due.is_some_and(|due| due <= Instant::now());
            let taken = if is_due { self.take_all() } else { self.take_urgent() };
            if !taken.is_empty() {
                return taken;
            }
            match due {
                None => added.await,
                // The next iteration checks both.
                Some(due) => drop(timeout_at(due, added).await),
            }
        }
    }

    /// Takes all objects without waiting.
    pub fn take_all(&self) -> Vec<ObjectRef> {
        let mut sets = self.sets();
        sets.counts_due = None;
        let counts = std::mem::take(&mut sets.counts);
        let apps = counts.into_iter().map(|key| ObjectRef { kind: Kind::WebhookApp, key });
        sets.urgent.extend(apps);
        std::mem::take(&mut sets.urgent).into_iter().collect()
    }

    fn take_urgent(&self) -> Vec<ObjectRef> {
        std::mem::take(&mut self.sets().urgent).into_iter().collect()
    }

    fn sets(&self) -> MutexGuard<'_, Sets> {
        self.sets.lock()
    }
}
