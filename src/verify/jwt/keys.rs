//! The keys of an issuer as a shared handle: verifiers read them, the fetcher replaces them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::Jwks;

/// The last fetched keys of an issuer; none before the first fetch. Clones share the same keys.
#[derive(Clone, Debug, Default)]
pub struct Keys(Arc<KeyUsage>);

/// A handle that does not keep the keys in use; the fetcher holds it.
#[derive(Clone, Debug)]
pub struct WeakKeys {
    cell: Weak<Cell>,
    news: Arc<Notify>,
}

/// The use of keys by one namespace. It ends when the namespace drops its last clone of the keys.
#[derive(Debug, Default)]
struct KeyUsage {
    namespace: Arc<str>,
    cell: Arc<Cell>,
}

#[derive(Debug, Default)]
struct Cell {
    current: ArcSwapOption<Jwks>,
    is_missed: AtomicBool,
    /// Wakes the fetcher.
    news: Arc<Notify>,
    /// Keyed by namespace. An entry is removed when its usage ends.
    usages: Mutex<HashMap<Arc<str>, Weak<KeyUsage>>>,
}

impl Cell {
    fn usages(&self) -> MutexGuard<'_, HashMap<Arc<str>, Weak<KeyUsage>>> {
        self.usages.lock()
    }
}

impl Keys {
    /// Creates a handle for the first namespace that uses the keys. It has no keys yet.
    pub(super) fn used_by(namespace: &Arc<str>) -> Self {
        Self::join(Arc::default(), namespace)
    }

    fn join(cell: Arc<Cell>, namespace: &Arc<str>) -> Self {
        let usage = Arc::new(KeyUsage { namespace: namespace.clone(), cell: cell.clone() });
        cell.usages().insert(namespace.clone(), Arc::downgrade(&usage));
        Self(usage)
    }

    /// Replaces the keys.
    pub fn set(&self, keys: Jwks) {
        self.0.cell.current.store(Some(Arc::new(keys)));
    }

    /// The current keys; `None` before the first fetch.
    pub fn current(&self) -> Option<Arc<Jwks>> {
        self.0.cell.current.load_full()
    }

    /// Reports that a token names an unknown key, so that newer keys are fetched. Cheap to call for
    /// each request: only the first call after [`Self::settle`] wakes the fetcher.
    pub fn miss(&self) {
        let is_missed = &self.0.cell.is_missed;
        if !is_missed.load(Ordering::Relaxed) && !is_missed.swap(true, Ordering::Relaxed) {
            self.0.cell.news.notify_one();
        }
    }

    /// Whether an unknown key was reported since [`Self::settle`].
    pub fn is_missed(&self) -> bool {
        self.0.cell.is_missed.load(Ordering::Relaxed)
    }

    /// Clears the report, once the issuer has been queried.
    pub fn settle(&self) {
        self.0.cell.is_missed.store(false, Ordering::Relaxed);
    }

    /// A weak handle to the same keys.
    pub fn downgrade(&self) -> WeakKeys {
        WeakKeys { cell: Arc::downgrade(&self.0.cell), news: self.0.cell.news.clone() }
    }
}

impl WeakKeys {
    /// The keys, if another handle still exists. This one counts for no namespace.
    pub fn upgrade(&self) -> Option<Keys> {
        let cell = self.cell.upgrade()?;
        Some(Keys(Arc::new(KeyUsage { namespace: Arc::default(), cell })))
    }

    /// The handle of a namespace that already uses these keys.
    pub(super) fn handle_of(&self, namespace: &str) -> Option<Keys> {
        let cell = self.cell.upgrade()?;
        let usage = cell.usages().get(namespace)?.upgrade();
        usage.map(Keys)
    }

    /// A handle for a namespace that does not use these keys yet, if another handle still exists.
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

    /// Whether all handles are dropped.
    pub fn is_dropped(&self) -> bool {
        self.cell.strong_count() == 0
    }

    /// Waits until an unknown key is reported or the keys are dropped. For one caller at a time.
    pub async fn news(&self) {
        self.news.notified().await;
    }
}

impl Drop for KeyUsage {
    fn drop(&mut self) {
        let mut usages = self.cell.usages();
        // The namespace may have started to use the keys again since the last clone was dropped.
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
