//! What is deleted: what is old, what makes room, what cannot be read, and webhooks of which nothing is left.

use rusqlite::OptionalExtension;

use super::Engine;
use crate::moment::Moment;
use crate::routes::AppId;
use crate::store::sqlite::failure::readable;
use crate::store::sqlite::open::PENDING;
use crate::store::sqlite::pruning;
use crate::store::sqlite::quota::Clearance;
use crate::store::sqlite::retention::{self, Forgotten};
use crate::store::{Reason, WebhookExists};

/// How many webhooks are looked at for pruning at once.
const PRUNED_AT_ONCE: i64 = 500;

impl Engine {
    /// Forgets what ended by `until`, and duplicate keys whose window is over: `most` of each.
    pub fn forget(&mut self, until: Moment, now: Moment, most: usize) -> rusqlite::Result<()> {
        let forgotten = retention::forget(&self.db, until, most)?;
        self.forgotten(forgotten);
        retention::forget_duplicates(&self.db, now, most).map(drop)
    }

    /// Whose ended deliveries are to make room, if there are any; see [`Quota::clearances`].
    pub fn clearances(&self) -> Vec<Clearance> {
        self.quota.clearances(&self.stored, self.is_scarce)
    }

    /// Forgets what has ended to make room, `most` of it; returns how many deliveries.
    pub fn make_room(&mut self, clearances: &[Clearance], most: usize) -> rusqlite::Result<usize> {
        for Clearance { app, state } in clearances {
            let forgotten = retention::forget_of(&self.db, *app, *state, most)?;
            let count = forgotten.count;
            self.forgotten(forgotten);
            if count > 0 {
                return Ok(count);
            }
        }
        Ok(0)
    }

    fn forgotten(&mut self, forgotten: Forgotten) {
        for (webhook, count) in forgotten.dead {
            self.tallies.dead(webhook, -count);
        }
        for (key, bytes) in forgotten.bytes {
            self.stored.release(key, bytes);
        }
    }

    /// Whether the store as a whole runs short of room.
    pub fn set_scarce(&mut self, is_scarce: bool) {
        self.is_scarce = is_scarce;
    }

    /// Deliveries that were found to be unreadable since this was last asked for.
    pub fn take_unreadable(&mut self) -> Vec<(i64, AppId)> {
        std::mem::take(&mut self.unreadable)
    }

    /// Ends pending deliveries that cannot be read as dead.
    pub fn end_unreadable(
        &mut self,
        deliveries: &[(i64, AppId)],
        now: Moment,
    ) -> rusqlite::Result<()> {
        let sql = "UPDATE delivery SET state = 3, due = ?2, finished = ?2, reason = ?3
            WHERE key = ?1 AND state = 0 RETURNING webhook";
        for (key, app) in deliveries {
            let webhook: Option<i64> = self
                .db
                .prepare_cached(sql)?
                .query_row((key, now, Reason::Unreadable), |row| row.get(0))
                .optional()?;
            let Some(webhook) = webhook else { continue };
            tracing::error!(key, "a delivery cannot be read from the store, and has ended as dead");
            self.leases.revoke(*key);
            self.tallies.dead(webhook, 1);
            self.open.end(*app, webhook, *key, PENDING);
            if self.open.of(webhook).pending == 0 {
                self.promote(*app, webhook, 1, now)?;
            }
        }
        Ok(())
    }

    /// Deletes the rows of some webhooks that nothing refers to and that do not exist; says whether there are more to
    /// look at.
    pub fn prune_webhooks(&mut self, exists: &WebhookExists) -> rusqlite::Result<bool> {
        let candidates = pruning::candidates(&self.db, self.pruned_to, PRUNED_AT_ONCE)?;
        let is_last = candidates.len() < PRUNED_AT_ONCE as usize;
        self.pruned_to = candidates.last().filter(|_| !is_last).map_or(0, |last| last.webhook);
        for candidate in candidates.into_iter().filter(|candidate| candidate.is_unused) {
            let stored = self.webhooks.get(&self.db, candidate.webhook);
            if readable(stored).transpose()?.is_some_and(|stored| exists(&stored)) {
                continue;
            }
            self.webhooks.remove(candidate.webhook);
            self.tallies.remove(candidate.webhook);
            if pruning::delete(&self.db, candidate)? {
                self.webhooks.remove_app(candidate.app);
                self.stored.remove(candidate.app);
            }
        }
        self.refused.retain(|key| self.stored.of_app(*key) > 0);
        Ok(!is_last)
    }

    /// Writes the numbers that are in memory alone.
    pub fn save_tallies(&mut self) -> rusqlite::Result<()> {
        self.tallies.save(&self.db)
    }
}
