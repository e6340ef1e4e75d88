//! What has become of the deliveries of each webhook, in numbers: in memory, taken back with the
//! transaction that changed it, and saved from time to time.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;

use crate::moment::Moment;

/// What has become of the deliveries of one webhook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Those that succeeded, ever.
    pub succeeded: i64,
    /// Those that are dead and kept.
    pub dead: i64,
    /// When one last succeeded.
    pub last: Option<Moment>,
}

/// All of them. Bounded by the number of webhooks that ever had a delivery.
#[derive(Debug, Default)]
pub struct Tallies {
    webhooks: HashMap<i64, Ended>,
    /// What was before the changes since the last commit, the latest last.
    before: Vec<(i64, Ended)>,
    /// Whose numbers were changed since they were saved.
    unsaved: HashSet<i64>,
}

impl Tallies {
    /// Reads what a file has. What is dead is counted; what succeeded is long gone, and was saved.
    pub fn read(db: &Connection) -> rusqlite::Result<Self> {
        let mut tallies = Self::default();
        let mut select = db.prepare("SELECT webhook, succeeded, last FROM tally")?;
        let mut rows = select.query(())?;
        while let Some(row) = rows.next()? {
            // A number that cannot be read starts again from zero.
            let (succeeded, last) = (row.get(1).unwrap_or(0), row.get(2).unwrap_or(None));
            tallies.webhooks.insert(row.get(0)?, Ended { succeeded, dead: 0, last });
        }
        // From the partial index that holds no other rows.
        let sql = "SELECT webhook, count(*) FROM delivery WHERE state = 3 GROUP BY webhook";
        let mut select = db.prepare(sql)?;
        let mut rows = select.query(())?;
        while let Some(row) = rows.next()? {
            tallies.webhooks.entry(row.get(0)?).or_default().dead = row.get(1)?;
        }
        Ok(tallies)
    }

    /// One succeeded.
    pub fn succeeded(&mut self, webhook: i64, at: Moment) {
        self.change(webhook, |ended| {
            ended.succeeded += 1;
            ended.last = ended.last.max(Some(at));
        });
        self.unsaved.insert(webhook);
    }

    /// Some died, or, where there are fewer now, were forgotten.
    pub fn dead(&mut self, webhook: i64, by: i64) {
        self.change(webhook, |ended| ended.dead += by);
    }

    /// A webhook is forgotten.
    pub fn remove(&mut self, webhook: i64) {
        if let Some(ended) = self.webhooks.remove(&webhook) {
            self.before.push((webhook, ended));
        }
        self.unsaved.remove(&webhook);
    }

    /// Those of each webhook.
    pub fn all(&self) -> impl Iterator<Item = (i64, Ended)> + '_ {
        self.webhooks.iter().map(|(webhook, ended)| (*webhook, *ended))
    }

    /// Whether there is something to save.
    pub fn are_unsaved(&self) -> bool {
        !self.unsaved.is_empty()
    }

    /// Writes what was changed. After a crash the last of it may be missing: it is no promise.
    pub fn save(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let sql = "INSERT OR REPLACE INTO tally (webhook, succeeded, last) VALUES (?1, ?2, ?3)";
        for webhook in std::mem::take(&mut self.unsaved) {
            let Ended { succeeded, last, .. } =
                self.webhooks.get(&webhook).copied().unwrap_or_default();
            db.prepare_cached(sql)?.execute((webhook, succeeded, last))?;
        }
        Ok(())
    }

    /// What was changed stays.
    pub fn commit(&mut self) {
        self.before.clear();
    }

    /// Takes back what was changed since the last commit.
    pub fn roll_back(&mut self) {
        for (webhook, ended) in std::mem::take(&mut self.before).into_iter().rev() {
            self.webhooks.insert(webhook, ended);
            self.unsaved.insert(webhook);
        }
    }

    fn change(&mut self, webhook: i64, change: impl FnOnce(&mut Ended)) {
        let ended = self.webhooks.entry(webhook).or_default();
        self.before.push((webhook, *ended));
        change(ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_transaction_changed_is_taken_back_with_it() {
        let mut tallies = Tallies::default();
        tallies.succeeded(1, Moment(5));
        tallies.commit();
        tallies.succeeded(1, Moment(9));
        tallies.dead(1, 1);
        tallies.dead(2, 1);
        tallies.roll_back();
        let all: HashMap<_, _> = tallies.all().collect();
        assert_eq!(all[&1], Ended { succeeded: 1, dead: 0, last: Some(Moment(5)) });
        assert_eq!(all[&2], Ended::default());
    }
}
