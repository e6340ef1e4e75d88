//! The route table: many small maps that are swapped atomically, so that readers never wait.
//!
//! A reader takes no lock: it loads the pointer of one shard. A writer copies the shard that it
//! changes; with [`SHARDS`] of them a copy is small even if there are many webhooks.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use parking_lot::{Mutex, MutexGuard};
use uuid::Uuid;

use super::{App, AppId, Meters, Route};

/// The number of maps.
const SHARDS: usize = 1024;

/// The key of a webhook: the UUIDs of its app and its own. A webhook is not found under another
/// app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    /// The app's UUID.
    pub app: Uuid,
    /// The webhook's UUID.
    pub webhook: Uuid,
}

/// A change of the table.
#[derive(Clone, Debug)]
pub enum Change {
    /// Adds or replaces a route.
    Apply(Id, Arc<Route>),
    /// Removes a route.
    Delete(Id),
}

impl Change {
    fn id(&self) -> Id {
        match self {
            Self::Apply(id, _) | Self::Delete(id) => *id,
        }
    }
}

type Shard = HashMap<Id, Arc<Route>, RandomState>;

/// The route table. Reads are lock-free; writes are serialized.
#[derive(Debug)]
pub struct Table {
    // Keyed randomly per process, so that clients cannot choose UUIDs of the same shard.
    hasher: RandomState,
    shards: Box<[ArcSwap<Shard>]>,
    apps: ArcSwap<HashMap<Uuid, Arc<App>>>,
    meters: Option<Box<Meters>>,
    writer: Mutex<()>,
}

impl Default for Table {
    fn default() -> Self {
        let hasher = RandomState::default();
        let shard = || ArcSwap::from_pointee(Shard::with_hasher(hasher.clone()));
        let shards = (0..SHARDS).map(|_| shard()).collect();
        Self {
            hasher,
            shards,
            apps: ArcSwap::default(),
            meters: Some(Box::default()),
            writer: Mutex::default(),
        }
    }
}

impl Table {
    /// The route of a webhook.
    pub fn get(&self, id: Id) -> Option<Arc<Route>> {
        self.shards[self.shard_of(id)].load().get(&id).cloned()
    }

    /// The app with this UUID, which may have no webhooks.
    pub fn app(&self, uuid: Uuid) -> Option<Arc<App>> {
        self.apps.load().get(&uuid).cloned()
    }

    /// The app with this UUID in this namespace; `None` if the UUID belongs to another namespace.
    pub fn owned_app(&self, id: AppId) -> Option<Arc<App>> {
        self.app(id.uuid).filter(|app| app.id == id)
    }

    /// Applies changes of apps in order: `Some` adds or replaces an app, `None` removes it.
    pub fn apply_apps(&self, changes: impl IntoIterator<Item = (Uuid, Option<Arc<App>>)>) {
        let mut changes = changes.into_iter().peekable();
        if changes.peek().is_none() {
            return;
        }
        let _writing = self.lock();
        let mut apps = HashMap::clone(&self.apps.load());
        for (uuid, app) in changes {
            match app {
                Some(app) => drop(apps.insert(uuid, app)),
                None => drop(apps.remove(&uuid)),
            }
        }
        self.apps.store(Arc::new(apps));
    }

    /// Applies changes in order. Each shard changes atomically.
    pub fn apply(&self, changes: impl IntoIterator<Item = Change>) {
        let mut by_shard: HashMap<usize, Vec<Change>> = HashMap::new();
        for change in changes {
            by_shard.entry(self.shard_of(change.id())).or_default().push(change);
        }
        let _writing = self.lock();
        for (index, changes) in by_shard {
            let mut shard = Shard::clone(&self.shards[index].load());
            changes.into_iter().for_each(|change| apply_change(&mut shard, change));
            self.shards[index].store(Arc::new(shard));
        }
    }

    /// Replaces all routes.
    pub fn reset(&self, routes: impl IntoIterator<Item = (Id, Arc<Route>)>) {
        let mut fresh: Vec<Shard> =
            (0..SHARDS).map(|_| Shard::with_hasher(self.hasher.clone())).collect();
        for (id, route) in routes {
            fresh[self.shard_of(id)].insert(id, route);
        }
        let _writing = self.lock();
        for (slot, shard) in self.shards.iter().zip(fresh) {
            slot.store(Arc::new(shard));
        }
    }

    /// A table without metrics.
    pub fn unmetered() -> Self {
        Self { meters: None, ..Self::default() }
    }

    /// The metrics, if enabled.
    pub fn meters(&self) -> Option<&Meters> {
        self.meters.as_deref()
    }

    /// The number of routes.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.load().len()).sum()
    }

    /// Whether the table is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard_of(&self, id: Id) -> usize {
        // The maps use the low bits of the hash for their buckets, so the shard uses high bits.
        (self.hasher.hash_one(id) >> 48) as usize % SHARDS
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.writer.lock()
    }
}

fn apply_change(shard: &mut Shard, change: Change) {
    match change {
        Change::Apply(id, route) => {
            shard.insert(id, route);
        }
        Change::Delete(id) => {
            shard.remove(&id);
        }
    }
}
