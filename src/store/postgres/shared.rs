//! What the thread of the store shares with its callers.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::watch;

use crate::moment::Moment;
use crate::routes::AppId;
use crate::store::metrics::Commits;
use crate::store::{DueApps, Health, StoreError};

/// State that callers read without asking the database.
#[derive(Debug)]
pub struct PostgresState {
    /// Apps with due deliveries.
    pub due_apps: Arc<DueApps>,
    /// Measurements of commits.
    pub commits: Commits,
    /// Health of the store.
    pub health: watch::Sender<Health>,
    /// The load that was read last.
    pub load: RwLock<Load>,
}

/// The load of the store, of all replicas.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Stored bytes.
    pub bytes: u64,
    /// Undelivered deliveries by app.
    pub undelivered: Vec<(AppId, u64)>,
    /// When the oldest of them was created, by app, rounded down to the second.
    pub oldest: Vec<(AppId, Moment)>,
    /// Apps that have used up their share of the store, or whose namespace has.
    pub over_share: HashSet<AppId>,
    /// Apps that have used nine tenths of it.
    pub near_share: HashSet<AppId>,
}

impl Default for PostgresState {
    fn default() -> Self {
        Self {
            due_apps: Arc::default(),
            commits: Commits::default(),
            health: watch::channel(Health::Serving).0,
            load: RwLock::default(),
        }
    }
}

impl PostgresState {
    /// Returns an error if the store has failed.
    pub fn check(&self) -> Result<(), StoreError> {
        match &*self.health.borrow() {
            Health::Failed(why) => Err(StoreError::Failed(why.clone())),
            Health::Serving | Health::Full | Health::Unavailable(_) => Ok(()),
        }
    }

    /// Returns an error if the store has failed, or has no space for an event of this app.
    pub fn check_space(&self, app: AppId) -> Result<(), StoreError> {
        self.check()?;
        if *self.health.borrow() == Health::Full {
            return Err(StoreError::Full);
        }
        if self.load.read().over_share.contains(&app) {
            return Err(StoreError::AppFull);
        }
        Ok(())
    }

    /// Sets the health, unless the store has failed, and logs a change.
    pub fn set_health(&self, new: Health) {
        let mut has_changed = false;
        self.health.send_if_modified(|health| {
            has_changed = !matches!(health, Health::Failed(_))
                && std::mem::discriminant(health) != std::mem::discriminant(&new);
            if has_changed {
                health.clone_from(&new);
            }
            has_changed
        });
        if !has_changed {
            return;
        }
        match new {
            Health::Serving => tracing::info!("the database serves: accepting triggers"),
            Health::Full => {
                tracing::warn!("the store is full: rejecting triggers until space is freed");
            }
            Health::Unavailable(why) => tracing::error!(
                why = &*why,
                "the database is unavailable: rejecting triggers until it serves again"
            ),
            Health::Failed(why) => tracing::error!(
                error = &*why,
                "the store failed: rejecting triggers until the operator is restarted"
            ),
        }
    }
}
