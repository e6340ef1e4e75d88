//! What the tasks of a store share.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::Notify;

use super::shared::{Load, PostgresState};
use super::webhooks::RowCache;
use crate::moment::Moment;
use crate::routes::AppId;
use crate::store::{Health, Ids};

/// State of the thread of a store.
pub struct Context {
    /// What callers see.
    pub shared: Arc<PostgresState>,
    /// Generates ids of replays.
    pub ids: Arc<Ids>,
    /// Returns the current time.
    pub clock: Box<dyn Fn() -> Moment>,
    /// Maximum stored bytes.
    pub max_bytes: u64,
    /// The key of the session, see [`super::session`].
    pub session: Cell<i64>,
    /// Rows of webhooks.
    pub rows: RowCache,
    /// Notified when [`Self::has_news`] becomes true.
    pub news_arrived: Notify,
    /// Notified by operations: where nothing happens, nothing is to be maintained.
    pub activity: Notify,
    /// Notified when the store is closed.
    pub closing: Notify,
    /// Apps to notify other replicas of.
    news: RefCell<HashSet<AppId>>,
}

impl Context {
    /// The context of a store without any state.
    pub fn new(
        shared: Arc<PostgresState>,
        ids: Arc<Ids>,
        clock: Box<dyn Fn() -> Moment>,
        max_bytes: u64,
    ) -> Self {
        Self {
            shared,
            ids,
            clock,
            max_bytes,
            session: Cell::new(0),
            rows: RowCache::default(),
            news_arrived: Notify::new(),
            activity: Notify::new(),
            closing: Notify::new(),
            news: RefCell::default(),
        }
    }

    /// Tells the dispatcher of apps with deliveries, and other replicas of those that are due.
    pub fn announce(&self, due: Vec<(AppId, Moment)>) {
        self.activity.notify_one();
        if due.is_empty() {
            return;
        }
        let now = (self.clock)();
        let mut news = self.news.borrow_mut();
        news.extend(due.iter().filter(|(_, due)| *due <= now).map(|(app, _)| *app));
        if !news.is_empty() {
            self.news_arrived.notify_one();
        }
        drop(news);
        self.shared.due_apps.notify(due);
    }

    /// Whether there are apps to notify other replicas of.
    pub fn has_news(&self) -> bool {
        !self.news.borrow().is_empty()
    }

    /// Takes the apps to notify other replicas of.
    pub fn take_news(&self) -> Vec<AppId> {
        self.news.borrow_mut().drain().collect()
    }

    /// Records the load of the store.
    pub fn set_load(&self, load: Load) {
        let over = load.over_share.len();
        if over > self.shared.load.read().over_share.len() {
            // UUIDs are not logged: they are part of trigger URLs.
            tracing::warn!(apps = over, "apps have used up their share of the store");
        }
        *self.shared.load.write() = load;
    }

    /// Records that the database serves.
    pub fn set_available(&self) {
        let is_full = self.shared.load.read().bytes >= self.max_bytes;
        self.shared.set_health(if is_full { Health::Full } else { Health::Serving });
    }
}
