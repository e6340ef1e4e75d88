//! How many deliveries have not ended, by webhook and by app: what order and limits depend on, in
//! memory, and taken back with the transaction that changed it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rusqlite::Connection;

use super::ages::Ages;
use super::codec;
use super::failure::readable;
use crate::moment::Moment;
use crate::routes::AppId;

/// Deliveries of one webhook that have not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those that are attempted.
    pub pending: i64,
    /// Those that wait for one before them.
    pub waiting: i64,
}

/// One that is attempted.
pub const PENDING: Counts = Counts { pending: 1, waiting: 0 };
/// One that waits.
pub const WAITING: Counts = Counts { pending: 0, waiting: 1 };

impl Counts {
    fn times(self, times: i64) -> Self {
        Self { pending: self.pending * times, waiting: self.waiting * times }
    }
}

/// A change that can be taken back.
#[derive(Clone, Copy, Debug)]
enum Delta {
    /// Of the counts of a webhook.
    Counts { app: AppId, webhook: i64, by: Counts },
    /// Of what began when the delivery of this key did.
    Began { app: AppId, key: i64, by: i64 },
}

/// All counts. Bounded by the number of webhooks that have an undelivered event.
#[derive(Debug, Default)]
pub struct Open {
    webhooks: HashMap<i64, Counts>,
    apps: HashMap<AppId, i64>,
    ages: Ages,
    changes: Vec<Delta>,
}

impl Open {
    /// Counts what a file has.
    pub fn read(db: &Connection) -> rusqlite::Result<Self> {
        let mut open = Self::default();
        let mut apps = HashMap::new();
        // Each from the partial index that holds no other rows.
        for (by, sql) in [
            (PENDING, "SELECT webhook, key FROM delivery WHERE state = 0"),
            (WAITING, "SELECT webhook, key FROM delivery WHERE state = 1"),
        ] {
            let mut select = db.prepare(sql)?;
            let mut rows = select.query(())?;
            while let Some(row) = rows.next()? {
                let webhook = row.get(0)?;
                let app = match apps.entry(webhook) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(entry) => {
                        let app = readable(app_of(db, webhook)).transpose()?;
                        *entry.insert(app)
                    }
                };
                // Nobody can be asked for the deliveries of a webhook that cannot be read.
                let Some(app) = app else { continue };
                open.apply(Delta::Counts { app, webhook, by }, 1);
                open.apply(Delta::Began { app, key: row.get(1)?, by: 1 }, 1);
            }
        }
        Ok(open)
    }

    /// The counts of a webhook.
    pub fn of(&self, webhook: i64) -> Counts {
        self.webhooks.get(&webhook).copied().unwrap_or_default()
    }

    /// The undelivered of each app.
    pub fn apps(&self) -> &HashMap<AppId, i64> {
        &self.apps
    }

    /// When the oldest undelivered of each app began, to the second.
    pub fn oldest(&self) -> impl Iterator<Item = (AppId, Moment)> + '_ {
        self.ages.oldest()
    }

    /// The undelivered of each webhook.
    pub fn webhooks(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.webhooks.iter().map(|(webhook, counts)| (*webhook, counts.pending + counts.waiting))
    }

    /// A delivery began.
    pub fn begin(&mut self, app: AppId, webhook: i64, key: i64, by: Counts) {
        self.change(Delta::Counts { app, webhook, by });
        self.change(Delta::Began { app, key, by: 1 });
    }

    /// A delivery ended that was counted so.
    pub fn end(&mut self, app: AppId, webhook: i64, key: i64, was: Counts) {
        self.change(Delta::Counts { app, webhook, by: was.times(-1) });
        self.change(Delta::Began { app, key, by: -1 });
    }

    /// Some that waited are attempted now.
    pub fn promote(&mut self, app: AppId, webhook: i64, number: i64) {
        let by = Counts { pending: number, waiting: -number };
        self.change(Delta::Counts { app, webhook, by });
    }

    /// What was changed stays.
    pub fn commit(&mut self) {
        self.changes.clear();
    }

    /// Takes back what was changed since the last commit.
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
            Delta::Began { app, key, by } => self.ages.add(app, key, by * times),
        }
    }

    fn count(&mut self, app: AppId, webhook: i64, by: Counts) {
        let counts = self.webhooks.entry(webhook).or_default();
        counts.pending += by.pending;
        counts.waiting += by.waiting;
        if *counts == Counts::default() {
            self.webhooks.remove(&webhook);
        }
        let undelivered = self.apps.entry(app).or_default();
        *undelivered += by.pending + by.waiting;
        if *undelivered == 0 {
            self.apps.remove(&app);
        }
    }
}

fn app_of(db: &Connection, webhook: i64) -> rusqlite::Result<AppId> {
    let sql =
        "SELECT a.namespace, a.uuid FROM webhook w JOIN app a ON a.key = w.app WHERE w.key = ?1";
    db.prepare_cached(sql)?.query_row((webhook,), |row| codec::app_id(row, 0, 1))
}
