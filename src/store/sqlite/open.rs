//! How many deliveries have not ended, by webhook and by app: what order and limits depend on, in
//! memory, and taken back with the transaction that changed it.

use std::collections::HashMap;

use rusqlite::Connection;
use uuid::Uuid;

/// Deliveries of one webhook that have not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those that are attempted.
    pub pending: i64,
    /// Those that wait for one before them.
    pub waiting: i64,
}

/// A change of the counts of one webhook.
#[derive(Clone, Copy, Debug)]
struct Delta {
    app: Uuid,
    webhook: i64,
    by: Counts,
}

/// All counts. Bounded by the number of webhooks that have an undelivered event.
#[derive(Debug, Default)]
pub struct Open {
    webhooks: HashMap<i64, Counts>,
    apps: HashMap<Uuid, i64>,
    changes: Vec<Delta>,
}

impl Open {
    /// Counts what a file has.
    pub fn read(db: &Connection) -> rusqlite::Result<Self> {
        let mut open = Self::default();
        // Each from the partial index that holds no other rows.
        for (state, sql) in [
            (0, "SELECT webhook, count(*) FROM delivery WHERE state = 0 GROUP BY app, webhook"),
            (1, "SELECT webhook, count(*) FROM delivery WHERE state = 1 GROUP BY webhook"),
        ] {
            let mut select = db.prepare(sql)?;
            let mut rows = select.query(())?;
            while let Some(row) = rows.next()? {
                let (webhook, count): (i64, i64) = (row.get(0)?, row.get(1)?);
                let uuid = app_of(db, webhook)?;
                let by = if state == 0 {
                    Counts { pending: count, waiting: 0 }
                } else {
                    Counts { pending: 0, waiting: count }
                };
                open.add(uuid, webhook, by);
            }
        }
        open.changes.clear();
        Ok(open)
    }

    /// The counts of a webhook.
    pub fn of(&self, webhook: i64) -> Counts {
        self.webhooks.get(&webhook).copied().unwrap_or_default()
    }

    /// The undelivered of each app.
    pub fn apps(&self) -> &HashMap<Uuid, i64> {
        &self.apps
    }

    /// Adds to the counts of a webhook.
    pub fn add(&mut self, app: Uuid, webhook: i64, by: Counts) {
        self.apply(app, webhook, by);
        self.changes.push(Delta { app, webhook, by });
    }

    /// What was added stays.
    pub fn commit(&mut self) {
        self.changes.clear();
    }

    /// Takes back what was added since the last commit.
    pub fn roll_back(&mut self) {
        for Delta { app, webhook, by } in std::mem::take(&mut self.changes) {
            self.apply(app, webhook, Counts { pending: -by.pending, waiting: -by.waiting });
        }
    }

    fn apply(&mut self, app: Uuid, webhook: i64, by: Counts) {
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

fn app_of(db: &Connection, webhook: i64) -> rusqlite::Result<Uuid> {
    let sql = "SELECT a.uuid FROM webhook w JOIN app a ON a.key = w.app WHERE w.key = ?1";
    let uuid = db.prepare_cached(sql)?.query_row((webhook,), |row| row.get::<_, [u8; 16]>(0))?;
    Ok(Uuid::from_bytes(uuid))
}
