//! The keys of an issuer as a handle: who verifies reads them, who fetches them replaces them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;

use super::Jwks;

/// The keys of an issuer, as they were fetched last: none before the first time. All copies are the
/// same keys.
#[derive(Clone, Debug, Default)]
pub struct Keys(Arc<Cell>);

/// Keys that somebody else holds: whoever keeps them fresh does not keep them.
#[derive(Clone, Debug)]
pub struct WeakKeys {
    cell: Weak<Cell>,
    news: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Cell {
    current: ArcSwapOption<Jwks>,
    is_missed: AtomicBool,
    /// Wakes who keeps the keys fresh.
    news: Arc<Notify>,
}

impl Keys {
    /// Puts new keys in the place of those that were there.
    pub fn set(&self, keys: Jwks) {
        self.0.current.store(Some(Arc::new(keys)));
    }

    /// The keys; none before the first time.
    pub fn current(&self) -> Option<Arc<Jwks>> {
        self.0.current.load_full()
    }

    /// Says that a token was signed with a key that is not here, so that newer ones are fetched. Costs
    /// next to nothing, however often it is said: only the first time until [`Self::settle`] wakes
    /// anybody.
    pub fn miss(&self) {
        let is_missed = &self.0.is_missed;
        if !is_missed.load(Ordering::Relaxed) && !is_missed.swap(true, Ordering::Relaxed) {
            self.0.news.notify_one();
        }
    }

    /// Whether a key was missed since [`Self::settle`].
    pub fn is_missed(&self) -> bool {
        self.0.is_missed.load(Ordering::Relaxed)
    }

    /// Forgets that a key was missed: its issuer was asked.
    pub fn settle(&self) {
        self.0.is_missed.store(false, Ordering::Relaxed);
    }

    /// The same keys, held by others.
    pub fn downgrade(&self) -> WeakKeys {
        WeakKeys { cell: Arc::downgrade(&self.0), news: self.0.news.clone() }
    }
}

impl WeakKeys {
    /// The keys, if somebody still holds them.
    pub fn upgrade(&self) -> Option<Keys> {
        self.cell.upgrade().map(Keys)
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

impl Drop for Cell {
    fn drop(&mut self) {
        self.news.notify_one();
    }
}
