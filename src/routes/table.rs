//! The route table: many small maps, each swapped as a whole, so that a reader never waits.
//!
//! A reader takes no lock: it loads the pointer of one shard. A writer copies the shard that it
//! changes; with [`SHARDS`] of them that copy stays small however many webhooks there are.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use uuid::Uuid;

use super::{App, AppId, Meters, Route};

/// How many maps the table is made of.
const SHARDS: usize = 1024;

/// A webhook is known by its app's UUID and its own: it is never found under another app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    /// The app's UUID.
    pub app: Uuid,
    /// The webhook's UUID.
    pub webhook: Uuid,
}

/// One change of the table.
#[derive(Clone, Debug)]
pub enum Change {
    /// The route is new or other than before.
    Apply(Id, Arc<Route>),
    /// There is no such route any more.
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
    // Keyed afresh in each process, so that nobody can choose UUIDs that meet in one shard.
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
    /// The route of a webhook, if there is one.
    pub fn get(&self, id: Id) -> Option<Arc<Route>> {
        self.shards[self.shard_of(id)].load().get(&id).cloned()
    }

    /// An app, whether or not it has webhooks.
    pub fn app(&self, uuid: Uuid) -> Option<Arc<App>> {
        self.apps.load().get(&uuid).cloned()
    }

    /// The app that has this UUID in this namespace; an app of another namespace is not it.
    pub fn owned_app(&self, id: AppId) -> Option<Arc<App>> {
        self.app(id.uuid).filter(|app| app.id == id)
    }

    /// Makes changes of apps, in their order: an app is new or other than before, or there is none.
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

    /// Makes the changes, in their order. Each shard goes from its old to its new state at once.
    pub fn apply(&self, changes: impl IntoIterator<Item = Change>) {
        let mut by_shard: HashMap<usize, Vec<Change>> = HashMap::new();
        for change in changes {
            by_shard.entry(self.shard_of(change.id())).or_default().push(change);
        }
        let _writing = self.lock();
        for (index, changes) in by_shard {
            let mut shard = Shard::clone(&self.shards[index].load());
            changes.into_iter().for_each(|change| make(&mut shard, change));
            self.shards[index].store(Arc::new(shard));
        }
    }

    /// Makes the table hold these routes and no others.
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

    /// A table beside which nothing is counted.
    pub fn unmetered() -> Self {
        Self { meters: None, ..Self::default() }
    }

    /// What is counted, if it is.
    pub fn meters(&self) -> Option<&Meters> {
        self.meters.as_deref()
    }

    /// How many routes there are.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.load().len()).sum()
    }

    /// Whether there is no route.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard_of(&self, id: Id) -> usize {
        // The maps use the low bits of the same hash for their buckets; the shard takes high ones.
        (self.hasher.hash_one(id) >> 48) as usize % SHARDS
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn make(shard: &mut Shard, change: Change) {
    match change {
        Change::Apply(id, route) => {
            shard.insert(id, route);
        }
        Change::Delete(id) => {
            shard.remove(&id);
        }
    }
}
