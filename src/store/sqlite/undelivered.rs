//! Counts of undelivered (pending and waiting) deliveries by webhook and by app. FIFO order and
//! limits depend on them. They are kept in memory and rolled back together with the transaction.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rusqlite::Connection;

use super::ages::Ages;
use super::codec::{self, state};
use super::failure::readable;
use crate::moment::Moment;
use crate::routes::AppId;

/// Undelivered deliveries of a webhook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UndeliveredCounts {
    /// Number of pending deliveries.
    pub pending: i64,
    /// Number of deliveries that wait for an earlier one.
    pub waiting: i64,
}

/// One pending delivery.
pub const PENDING: UndeliveredCounts = UndeliveredCounts { pending: 1, waiting: 0 };
/// One waiting delivery.
pub const WAITING: UndeliveredCounts = UndeliveredCounts { pending: 0, waiting: 1 };

/// All pending deliveries.
pub const ALL_PENDING: &str =
    concat!("SELECT webhook, key FROM delivery WHERE state = ", state!(Pending));
/// All waiting deliveries.
pub const ALL_WAITING: &str =
    concat!("SELECT webhook, key FROM delivery WHERE state = ", state!(Waiting));

impl UndeliveredCounts {
    fn times(self, times: i64) -> Self {
        Self { pending: self.pending * times, waiting: self.waiting * times }
    }
}

/// A change that can be rolled back.
#[derive(Clone, Copy, Debug)]
enum Delta {
    /// Changes the counts of a webhook.
    Counts { app: AppId, webhook: i64, by: UndeliveredCounts },
    /// Changes the number of deliveries created in the same second as the delivery with this key.
    Age { app: AppId, key: i64, by: i64 },
}

/// The counts of all webhooks and apps. Bounded by the number of webhooks with an undelivered
/// delivery.
#[derive(Debug, Default)]
pub struct Undelivered {
    webhooks: HashMap<i64, UndeliveredCounts>,
    apps: HashMap<AppId, i64>,
    ages: Ages,
    changes: Vec<Delta>,
}

impl Undelivered {
    /// Counts the undelivered deliveries of a database.
    pub fn read(db: &Connection) -> rusqlite::Result<Self> {
        let mut undelivered = Self::default();
        let mut apps = HashMap::new();
        // Each query reads a partial index that holds only rows of this state.
        for (by, sql) in [(PENDING, ALL_PENDING), (WAITING, ALL_WAITING)] {
            let mut select = db.prepare(sql)?;
            let mut rows = select.query(())?;
            while let Some(row) = rows.next()? {
                let webhook = row.get(0)?;
                let app = match apps.entry(webhook) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(entry) => {
                        let app = readable(read_app(db, webhook)).transpose()?;
                        *entry.insert(app)
                    }
                };
                // Skips the deliveries of a webhook that cannot be read: they cannot be attempted.
                let Some(app) = app else { continue };
                undelivered.apply(Delta::Counts { app, webhook, by }, 1);
                undelivered.apply(Delta::Age { app, key: row.get(1)?, by: 1 }, 1);
            }
        }
        Ok(undelivered)
    }

    /// The counts of a webhook.
    pub fn of_webhook(&self, webhook: i64) -> UndeliveredCounts {
        self.webhooks.get(&webhook).copied().unwrap_or_default()
    }

    /// The number of undelivered deliveries by app.
    pub fn apps(&self) -> &HashMap<AppId, i64> {
        &self.apps
    }

    /// When the oldest undelivered delivery of each app was created, rounded down to the second.
    pub fn oldest(&self) -> impl Iterator<Item = (AppId, Moment)> + '_ {
        self.ages.oldest()
    }

    /// The number of undelivered deliveries by webhook.
    pub fn webhooks(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.webhooks.iter().map(|(webhook, counts)| (*webhook, counts.pending + counts.waiting))
    }

    /// Counts a new delivery.
    pub fn begin(&mut self, app: AppId, webhook: i64, key: i64, by: UndeliveredCounts) {
        self.change(Delta::Counts { app, webhook, by });
        self.change(Delta::Age { app, key, by: 1 });
    }

    /// Removes a finished delivery that was counted as `was`.
    pub fn end(&mut self, app: AppId, webhook: i64, key: i64, was: UndeliveredCounts) {
        self.change(Delta::Counts { app, webhook, by: was.times(-1) });
        self.change(Delta::Age { app, key, by: -1 });
    }

    /// Counts `number` waiting deliveries as pending.
    pub fn promote(&mut self, app: AppId, webhook: i64, number: i64) {
        let by = UndeliveredCounts { pending: number, waiting: -number };
        self.change(Delta::Counts { app, webhook, by });
    }

    /// Makes the changes permanent.
    pub fn commit(&mut self) {
        self.changes.clear();
    }

    /// Reverts the changes since the last commit.
    pub fn roll_back(&mut self) {
        for delta in std::mem::take(&mut self.changes) {
            self.apply(delta, -1);
        }
    }

    fn change(&mut self, delta: Delta) {
        self.apply(delta, 1);
        self.changes.push(delta);
    }

    fn apply(&mut self, delta: Delta, times: i64) {
        match delta {
            Delta::Counts { app, webhook, by } => self.count(app, webhook, by.times(times)),
            Delta::Age { app, key, by } => self.ages.add(app, key, by * times),
        }
    }

    fn count(&mut self, app: AppId, webhook: i64, by: UndeliveredCounts) {
        let counts = self.webhooks.entry(webhook).or_default();
        counts.pending += by.pending;
        counts.waiting += by.waiting;
        if *counts == UndeliveredCounts::default() {
            self.webhooks.remove(&webhook);
        }
        let undelivered = self.apps.entry(app).or_default();
        *undelivered += by.pending + by.waiting;
        if *undelivered == 0 {
            self.apps.remove(&app);
        }
    }
}

fn read_app(db: &Connection, webhook: i64) -> rusqlite::Result<AppId> {
    let sql =
        "SELECT a.namespace, a.uuid FROM webhook w JOIN app a ON a.key = w.app WHERE w.key = ?1";
    db.prepare_cached(sql)?.query_row((webhook,), |row| codec::app_id(row, 0, 1))
}
