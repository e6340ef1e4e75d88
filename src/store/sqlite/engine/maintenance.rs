//! Maintenance: deletes expired rows, frees space, ends unreadable deliveries and prunes unused
//! webhooks.

use rusqlite::OptionalExtension;

use super::Engine;
use crate::moment::Moment;
use crate::routes::AppId;
use crate::store::sqlite::codec::state;
use crate::store::sqlite::failure::readable;
use crate::store::sqlite::pruning;
use crate::store::sqlite::quota::Clearance;
use crate::store::sqlite::retention::{self, Deleted};
use crate::store::sqlite::undelivered::PENDING;
use crate::store::{DeadReason, WebhookExists};

/// How many webhooks are checked for pruning in one transaction.
const PRUNE_BATCH: i64 = 500;

impl Engine {
    /// Deletes deliveries that finished by `until`, and duplicate keys whose window has passed; at
    /// most `limit` of each.
    pub fn delete_expired(
        &mut self,
        until: Moment,
        now: Moment,
        limit: usize,
    ) -> rusqlite::Result<()> {
        let deleted = retention::delete_expired(&self.db, until, limit)?;
        self.record_deleted(deleted);
        retention::delete_expired_duplicates(&self.db, now, limit).map(drop)
    }

    /// The finished deliveries to delete to free space, see `Quota::clearances`. Empty if there
    /// is enough space.
    pub fn clearances(&self) -> Vec<Clearance> {
        self.quota.clearances(&self.stored, self.is_scarce)
    }

    /// Deletes at most `limit` finished deliveries to free space. Returns how many were deleted.
    pub fn make_room(&mut self, clearances: &[Clearance], limit: usize) -> rusqlite::Result<usize> {
        for Clearance { app, state } in clearances {
            let deleted = retention::delete_finished(&self.db, *app, *state, limit)?;
            let count = deleted.count;
            self.record_deleted(deleted);
            if count > 0 {
                return Ok(count);
            }
        }
        Ok(0)
    }

    fn record_deleted(&mut self, deleted: Deleted) {
        for (webhook, count) in deleted.dead {
            self.tallies.dead(webhook, -count);
        }
        for (key, bytes) in deleted.bytes {
            self.stored.release(key, bytes);
        }
    }

    /// Sets whether the store is running out of space.
    pub fn set_scarce(&mut self, is_scarce: bool) {
        self.is_scarce = is_scarce;
    }

    /// Takes the deliveries that were found to be unreadable since the last call.
    pub fn take_unreadable(&mut self) -> Vec<(i64, AppId)> {
        std::mem::take(&mut self.unreadable)
    }

    /// Marks unreadable pending deliveries as dead.
    pub fn end_unreadable(
        &mut self,
        deliveries: &[(i64, AppId)],
        now: Moment,
    ) -> rusqlite::Result<()> {
        let sql = concat!(
            "UPDATE delivery SET state = ",
            state!(Dead),
            ", due = ?2, finished = ?2, reason = ?3 WHERE key = ?1 AND state = ",
            state!(Pending),
            " RETURNING webhook",
        );
        for (key, app) in deliveries {
            let webhook: Option<i64> = self
                .db
                .prepare_cached(sql)?
                .query_row((key, now, DeadReason::Unreadable), |row| row.get(0))
                .optional()?;
            let Some(webhook) = webhook else { continue };
            tracing::error!(key, "a delivery cannot be read from the store, and is now dead");
            self.leases.revoke(*key);
            self.tallies.dead(webhook, 1);
            self.undelivered.end(*app, webhook, *key, PENDING);
            if self.undelivered.of_webhook(webhook).pending == 0 {
                self.promote(*app, webhook, 1, now)?;
            }
        }
        Ok(())
    }

    /// Checks a batch of webhooks, and deletes the rows of those that are unused and no longer
    /// exist. Returns whether more webhooks are left to check.
    pub fn prune_webhooks(&mut self, exists: &WebhookExists) -> rusqlite::Result<bool> {
        let candidates = pruning::candidates(&self.db, self.pruned_to, PRUNE_BATCH)?;
        let is_last = candidates.len() < PRUNE_BATCH as usize;
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
        self.apps_over_share.retain(|key| self.stored.of_app(*key) > 0);
        Ok(!is_last)
    }

    /// Writes the tallies that were changed in memory.
    pub fn save_tallies(&mut self) -> rusqlite::Result<()> {
        self.tallies.save(&self.db)
    }
}
