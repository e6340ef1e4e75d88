//! The keys of an issuer as a handle: who verifies reads them, who fetches them replaces them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;

use super::Jwks;

/// The keys of an issuer, as they were fetched last: none before the first time. All copies are the
/// same keys.
#[derive(Clone, Debug, Default)]
pub struct Keys(Arc<Usage>);

/// Keys that somebody else holds: whoever keeps them fresh does not keep them.
#[derive(Clone, Debug)]
pub struct WeakKeys {
    cell: Weak<Cell>,
    news: Arc<Notify>,
}

/// The use of keys by one namespace. It ends with the namespace's last copy of the keys.
#[derive(Debug, Default)]
struct Usage {
    namespace: Arc<str>,
    cell: Arc<Cell>,
}

#[derive(Debug, Default)]
struct Cell {
    current: ArcSwapOption<Jwks>,
    is_missed: AtomicBool,
    /// Wakes who keeps the keys fresh.
    news: Arc<Notify>,
    /// By namespace. An entry is removed when its usage ends.
    usages: Mutex<HashMap<Arc<str>, Weak<Usage>>>,
}

impl Cell {
    fn usages(&self) -> MutexGuard<'_, HashMap<Arc<str>, Weak<Usage>>> {
        self.usages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keys {
    /// Keys that a namespace is the first to use: there are none yet.
    pub(super) fn used_by(namespace: &Arc<str>) -> Self {
        Self::join(Arc::default(), namespace)
    }

    fn join(cell: Arc<Cell>, namespace: &Arc<str>) -> Self {
        let usage = Arc::new(Usage { namespace: namespace.clone(), cell: cell.clone() });
        cell.usages().insert(namespace.clone(), Arc::downgrade(&usage));
        Self(usage)
    }

    /// Puts new keys in the place of those that were there.
    pub fn set(&self, keys: Jwks) {
        self.0.cell.current.store(Some(Arc::new(keys)));
    }

    /// The keys; none before the first time.
    pub fn current(&self) -> Option<Arc<Jwks>> {
        self.0.cell.current.load_full()
    }

    /// Says that a token was signed with a key that is not here, so that newer ones are fetched. Costs
    /// next to nothing, however often it is said: only the first time until [`Self::settle`] wakes
    /// anybody.
    pub fn miss(&self) {
        let is_missed = &self.0.cell.is_missed;
        if !is_missed.load(Ordering::Relaxed) && !is_missed.swap(true, Ordering::Relaxed) {
            self.0.cell.news.notify_one();
        }
    }

    /// Whether a key was missed since [`Self::settle`].
    pub fn is_missed(&self) -> bool {
        self.0.cell.is_missed.load(Ordering::Relaxed)
    }

    /// Forgets that a key was missed: its issuer was asked.
    pub fn settle(&self) {
        self.0.cell.is_missed.store(false, Ordering::Relaxed);
    }

    /// The same keys, held by others.
    pub fn downgrade(&self) -> WeakKeys {
        WeakKeys { cell: Arc::downgrade(&self.0.cell), news: self.0.cell.news.clone() }
    }
}

impl WeakKeys {
    /// The keys, if somebody still holds them. This copy counts for no namespace.
    pub fn upgrade(&self) -> Option<Keys> {
        let cell = self.cell.upgrade()?;
        Some(Keys(Arc::new(Usage { namespace: Arc::default(), cell })))
    }

    /// The copy of a namespace that uses these keys already.
    pub(super) fn of_user(&self, namespace: &str) -> Option<Keys> {
        let cell = self.cell.upgrade()?;
        let usage = cell.usages().get(namespace)?.upgrade();
        usage.map(Keys)
    }

    /// A copy for a namespace that does not use these keys yet, if somebody still holds them.
    pub(super) fn add_user(&self, namespace: &Arc<str>) -> Option<Keys> {
        self.cell.upgrade().map(|cell| Keys::join(cell, namespace))
    }

    /// Whether a namespace uses these keys.
    pub(super) fn has_user(&self, namespace: &str) -> bool {
        self.cell.upgrade().is_some_and(|cell| cell.usages().contains_key(namespace))
    }

    /// The namespaces that use these keys.
    pub fn namespaces(&self) -> Vec<Arc<str>> {
        let cell = self.cell.upgrade();
        cell.map(|cell| cell.usages().keys().cloned().collect()).unwrap_or_default()
    }

    /// Whether nobody holds the keys any more.
    pub fn is_dropped(&self) -> bool {
        self.cell.strong_count() == 0
    }

    /// Waits until a key may have been missed, or the keys dropped. For one caller at a time.
    pub async fn news(&self) {
        self.news.notified().await;
    }
}

impl Drop for Usage {
    fn drop(&mut self) {
        let mut usages = self.cell.usages();
        // The namespace may use the keys again meanwhile.
        if usages.get(&self.namespace).is_some_and(|usage| usage.strong_count() == 0) {
            usages.remove(&self.namespace);
        }
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        self.news.notify_one();
    }
}
