//! Tallies of finished deliveries by webhook. They are kept in memory, rolled back with the
//! transaction, and saved periodically.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;

use super::codec::state;
use crate::moment::Moment;

/// Dead deliveries by webhook.
pub const DEAD: &str = concat!(
    "SELECT webhook, count(*) FROM delivery WHERE state = ",
    state!(Dead),
    " GROUP BY webhook",
);

/// Finished deliveries of a webhook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FinishedCounts {
    /// Number of deliveries that ever succeeded.
    pub succeeded: i64,
    /// Number of dead deliveries in the store.
    pub dead: i64,
    /// Time of the last success.
    pub last: Option<Moment>,
}

/// The tallies of all webhooks. Bounded by the number of webhooks in the store.
#[derive(Debug, Default)]
pub struct TallyCache {
    webhooks: HashMap<i64, FinishedCounts>,
    /// Values before each change since the last commit, in order.
    before: Vec<(i64, FinishedCounts)>,
    /// Webhooks with changes since the last save.
    unsaved: HashSet<i64>,
}

impl TallyCache {
    /// Reads the tallies. Dead deliveries are counted. Successes are read from the saved numbers,
    /// as most of their deliveries have been deleted.
    pub fn read(db: &Connection) -> rusqlite::Result<Self> {
        let mut tallies = Self::default();
        let mut select = db.prepare("SELECT webhook, succeeded, last FROM tally")?;
        let mut rows = select.query(())?;
        while let Some(row) = rows.next()? {
            // An unreadable number restarts at zero.
            let (succeeded, last) = (row.get(1).unwrap_or(0), row.get(2).unwrap_or(None));
            tallies.webhooks.insert(row.get(0)?, FinishedCounts { succeeded, dead: 0, last });
        }
        // Reads a partial index that holds only dead deliveries.
        let mut select = db.prepare(DEAD)?;
        let mut rows = select.query(())?;
        while let Some(row) = rows.next()? {
            tallies.webhooks.entry(row.get(0)?).or_default().dead = row.get(1)?;
        }
        Ok(tallies)
    }

    /// Counts a success.
    pub fn succeeded(&mut self, webhook: i64, at: Moment) {
        self.change(webhook, |counts| {
            counts.succeeded += 1;
            counts.last = counts.last.max(Some(at));
        });
        self.unsaved.insert(webhook);
    }

    /// Adds `by` to the dead deliveries. Negative for deleted ones.
    pub fn dead(&mut self, webhook: i64, by: i64) {
        self.change(webhook, |counts| counts.dead += by);
    }

    /// Removes a webhook.
    pub fn remove(&mut self, webhook: i64) {
        if let Some(counts) = self.webhooks.remove(&webhook) {
            self.before.push((webhook, counts));
        }
        self.unsaved.remove(&webhook);
    }

    /// The counts of each webhook.
    pub fn all(&self) -> impl Iterator<Item = (i64, FinishedCounts)> + '_ {
        self.webhooks.iter().map(|(webhook, counts)| (*webhook, *counts))
    }

    /// Whether there are changes to save.
    pub fn has_unsaved(&self) -> bool {
        !self.unsaved.is_empty()
    }

    /// Writes the changes since the last save. A crash may lose the latest ones, as tallies are not
    /// part of the durability guarantee.
    pub fn save(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let sql = "INSERT OR REPLACE INTO tally (webhook, succeeded, last) VALUES (?1, ?2, ?3)";
        for webhook in std::mem::take(&mut self.unsaved) {
            let FinishedCounts { succeeded, last, .. } =
                self.webhooks.get(&webhook).copied().unwrap_or_default();
            db.prepare_cached(sql)?.execute((webhook, succeeded, last))?;
        }
        Ok(())
    }

    /// Makes the changes permanent.
    pub fn commit(&mut self) {
        self.before.clear();
    }

    /// Reverts the changes since the last commit.
    pub fn roll_back(&mut self) {
        for (webhook, counts) in std::mem::take(&mut self.before).into_iter().rev() {
            self.webhooks.insert(webhook, counts);
            self.unsaved.insert(webhook);
        }
    }

    fn change(&mut self, webhook: i64, change: impl FnOnce(&mut FinishedCounts)) {
        let counts = self.webhooks.entry(webhook).or_default();
        self.before.push((webhook, *counts));
        change(counts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollback_reverts_the_changes_since_the_last_commit() {
        let mut tallies = TallyCache::default();
        tallies.succeeded(1, Moment(5));
        tallies.commit();
        tallies.succeeded(1, Moment(9));
        tallies.dead(1, 1);
        tallies.dead(2, 1);
        tallies.roll_back();
        let all: HashMap<_, _> = tallies.all().collect();
        assert_eq!(all[&1], FinishedCounts { succeeded: 1, dead: 0, last: Some(Moment(5)) });
        assert_eq!(all[&2], FinishedCounts::default());
    }
}
