//! The operations on the database, one method each, without threads, channels or a clock.
//!
//! Writes happen between [`Engine::begin`] and [`Engine::commit`]. State in memory (leases, counts,
//! due apps) is part of the transaction: a rollback reverts it too.

mod maintenance;
mod repeat;
pub mod take;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

use super::codec::state;
use super::command::OperationResult;
use super::failure::readable;
use super::leases::{ActiveLease, Leases};
use super::quota::Quota;
use super::stored_bytes::{ATTEMPT_BYTES, DELIVERY_BYTES, EVENT_BYTES, StoredBytes};
use super::tallies::TallyCache;
use super::undelivered::{PENDING, Undelivered, UndeliveredCounts, WAITING};
use super::webhooks::{RowKeys, WebhookCache};
use super::{codec, history, retention};
use crate::moment::Moment;
use crate::resources::Ordering;
use crate::routes::{AppId, Route};
use crate::store::{
    Accepted, Attempted, DeadReason, DeliveryState, DuplicateKey, Filter, Ids, Lease, NewEvent,
    Next, PROMOTE_BATCH, Replayed, Settled, StoreError, StoredWebhook, Tally, headers, ids,
};

/// How many deliveries one [`Engine::give_up`] marks as dead.
const GIVE_UP_BATCH: i64 = 500;

/// Makes the oldest waiting deliveries of a webhook pending.
pub const PROMOTE: &str = concat!(
    "UPDATE delivery SET state = ",
    state!(Pending),
    ", due = ?3 WHERE key IN (SELECT key FROM delivery WHERE state = ",
    state!(Waiting),
    " AND webhook = ?1 ORDER BY key LIMIT ?2)",
);

/// Marks pending deliveries of an app as dead.
pub const GIVE_UP_PENDING: &str = concat!(
    "UPDATE delivery SET state = ",
    state!(Dead),
    ", finished = ?2, reason = ?3 WHERE key IN (SELECT key FROM delivery WHERE state = ",
    state!(Pending),
    " AND app = ?1 LIMIT ?4) RETURNING key, webhook",
);

/// Marks waiting deliveries of an app as dead.
pub const GIVE_UP_WAITING: &str = concat!(
    "UPDATE delivery SET state = ",
    state!(Dead),
    ", finished = ?2, reason = ?3 WHERE key IN (SELECT key FROM delivery WHERE state = ",
    state!(Waiting),
    " AND webhook IN (SELECT key FROM webhook WHERE app = ?1) LIMIT ?4) RETURNING key, webhook",
);

/// The database, with cached and transient state in memory.
#[derive(Debug)]
pub struct Engine {
    db: Connection,
    ids: Arc<Ids>,
    webhooks: WebhookCache,
    leases: Leases,
    undelivered: Undelivered,
    tallies: TallyCache,
    /// Leases ended since the last commit, with the end times of their attempts.
    ended_leases: Vec<(i64, ActiveLease, Moment)>,
    /// Apps with deliveries that became due since the last commit, and when they are due.
    due: HashMap<AppId, Moment>,
    stored: StoredBytes,
    quota: Quota,
    /// Whether the store is running out of space.
    is_scarce: bool,
    /// The keys of apps that were rejected for exceeding their share, so that this is logged once.
    apps_over_share: HashSet<i64>,
    /// Pruning continues after the webhook with this key.
    pruned_to: i64,
    /// Deliveries that could not be read, to be marked as dead.
    unreadable: Vec<(i64, AppId)>,
}

impl Engine {
    /// Creates an engine for a database with the current schema.
    pub fn new(db: Connection, ids: Arc<Ids>, max_bytes: u64) -> rusqlite::Result<Self> {
        let last: Option<i64> = db.query_row(
            "SELECT max(key) FROM (SELECT max(key) AS key FROM event UNION ALL SELECT max(key) FROM delivery)",
            (),
            |row| row.get(0),
        )?;
        ids.follow(last.unwrap_or(0) as u64);
        let undelivered = Undelivered::read(&db)?;
        let tallies = TallyCache::read(&db)?;
        // The first `take` of each app finds the actual due time.
        let due = undelivered.apps().keys().map(|app| (*app, Moment(0))).collect();
        let stored = StoredBytes::read(&db)?;
        Ok(Self {
            db,
            ids,
            webhooks: WebhookCache::default(),
            leases: Leases::default(),
            undelivered,
            tallies,
            ended_leases: Vec::new(),
            due,
            stored,
            quota: Quota::of(max_bytes),
            is_scarce: false,
            apps_over_share: HashSet::new(),
            pruned_to: 0,
            unreadable: Vec::new(),
        })
    }

    /// The connection, for operations that do not affect deliveries.
    pub fn db(&self) -> &Connection {
        &self.db
    }

    /// The counts of undelivered deliveries.
    pub fn undelivered(&self) -> &Undelivered {
        &self.undelivered
    }

    /// Delivery counts of each webhook that had a delivery.
    pub fn tallies(&mut self) -> rusqlite::Result<Vec<(Arc<StoredWebhook>, Tally)>> {
        let mut tallies: HashMap<i64, Tally> = HashMap::new();
        for (webhook, pending) in self.undelivered.webhooks() {
            tallies.entry(webhook).or_default().pending = pending as u64;
        }
        for (webhook, finished) in self.tallies.all() {
            let tally = tallies.entry(webhook).or_default();
            tally.succeeded = finished.succeeded as u64;
            tally.dead = finished.dead as u64;
            tally.last = finished.last;
        }
        let with_webhooks = tallies
            .into_iter()
            .map(|(webhook, tally)| Ok((self.webhooks.get(&self.db, webhook)?, tally)));
        with_webhooks.filter_map(readable).collect()
    }

    /// Whether tallies have changes that are not saved yet. A crash loses them.
    pub fn has_unsaved(&self) -> bool {
        self.tallies.has_unsaved()
    }

    /// Begins a transaction.
    pub fn begin(&mut self) -> rusqlite::Result<()> {
        self.db.prepare_cached("BEGIN IMMEDIATE")?.execute(()).map(drop)
    }

    /// Commits the transaction. When this returns, the writes since `begin` are on stable storage.
    pub fn commit(&mut self) -> rusqlite::Result<()> {
        self.stored.save(&self.db)?;
        self.db.prepare_cached("COMMIT")?.execute(())?;
        self.stored.commit();
        self.undelivered.commit();
        self.tallies.commit();
        self.ended_leases.clear();
        Ok(())
    }

    /// Reverts the writes since `begin`.
    pub fn roll_back(&mut self) -> rusqlite::Result<()> {
        self.stored.roll_back();
        self.undelivered.roll_back();
        self.tallies.roll_back();
        self.webhooks.clear();
        self.due.clear();
        for (delivery, lease, now) in std::mem::take(&mut self.ended_leases) {
            self.leases.renew(delivery, lease, now);
        }
        // SQLite rolls back automatically after some errors.
        if self.db.is_autocommit() { Ok(()) } else { self.db.execute_batch("ROLLBACK") }
    }

    /// Takes the apps with deliveries that became due since the last call, and when they are due.
    pub fn take_due(&mut self) -> impl Iterator<Item = (AppId, Moment)> + '_ {
        self.due.drain()
    }

    /// Stores an event, its duplicate key and its first delivery, or delivers the event again that
    /// it repeats, unless its app exceeds its share.
    pub fn accept(&mut self, event: &NewEvent) -> OperationResult<Accepted> {
        let keys = self.webhooks.keys(&self.db, &event.route)?;
        if let Some((key, first)) = self.find_duplicate(keys, event)? {
            match self.repeat(keys, event, key, first)? {
                Ok(None) => {}
                Ok(Some(answer)) => return Ok(Ok(answer)),
                Err(error) => return Ok(Err(error)),
            }
        }
        if event.is_refused {
            return Ok(Ok(Accepted::Refused));
        }
        let content = &event.content;
        let headers = headers::to_bytes(&content.headers);
        let bytes = EVENT_BYTES + (content.body.len() + headers.len()) as i64;
        if !self.admits(keys.app, &event.route, bytes + DELIVERY_BYTES) {
            return Ok(Err(StoreError::AppFull));
        }
        self.record_duplicate_key(keys, event)?;
        let sql = "INSERT INTO event (key, tail, webhook, form, content_type, headers, body)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        self.db.prepare_cached(sql)?.execute((
            codec::key(event.id),
            codec::tail(event.id),
            keys.webhook,
            content.form,
            content.content_type.as_ref().map(|value| value.as_bytes()),
            headers,
            &content.body[..],
        ))?;
        self.stored.change(keys.app, event.route.app.id, bytes);
        let ordering = event.route.binding.delivery.ordering;
        let delivery = NewDelivery { id: event.id, event: event.id, generation: 1, now: event.now };
        self.create_delivery(keys, event.route.app.id, ordering, delivery)?;
        Ok(Ok(Accepted::Stored))
    }

    /// Whether the quota allows an app to store this many more bytes. Logs a warning when an app
    /// starts to exceed its share.
    fn admits(&mut self, key: i64, route: &Route, bytes: i64) -> bool {
        let app = &route.app;
        if self.quota.admits(&self.stored, key, app.id.namespace(), bytes, self.is_scarce) {
            self.apps_over_share.remove(&key);
            return true;
        }
        if self.apps_over_share.insert(key) {
            tracing::warn!(
                namespace = &*app.namespace,
                app = &*app.name,
                "the app's share of the store is full: rejecting its triggers until space is freed"
            );
        }
        false
    }

    /// Finds the event of the same key.
    fn find_duplicate(
        &self,
        keys: RowKeys,
        event: &NewEvent,
    ) -> rusqlite::Result<Option<(DuplicateKey, Uuid)>> {
        let Some(duplicate) = event.duplicate else { return Ok(None) };
        let sql = "SELECT event, tail FROM duplicate
            WHERE webhook = ?1 AND hash = ?2 AND until > ?3";
        let first = self
            .db
            .prepare_cached(sql)?
            .query_row((keys.webhook, duplicate.hash, event.now), |row| {
                Ok(codec::id(row.get(0)?, row.get(1)?))
            })
            .optional()?;
        // The window may have been shortened since.
        let is_in_window = |first: &Uuid| ids::moment(*first) + duplicate.window > event.now;
        Ok(first.filter(is_in_window).map(|first| (duplicate, first)))
    }

    /// Stores the duplicate key of an event.
    fn record_duplicate_key(&self, keys: RowKeys, event: &NewEvent) -> rusqlite::Result<()> {
        let Some(duplicate) = event.duplicate else { return Ok(()) };
        let sql = "INSERT OR REPLACE INTO duplicate (webhook, hash, event, tail, until)
            VALUES (?1, ?2, ?3, ?4, ?5)";
        self.db.prepare_cached(sql)?.execute((
            keys.webhook,
            duplicate.hash,
            codec::key(event.id),
            codec::tail(event.id),
            event.now + duplicate.window,
        ))?;
        Ok(())
    }

    fn create_delivery(
        &mut self,
        keys: RowKeys,
        app: AppId,
        ordering: Ordering,
        delivery: NewDelivery,
    ) -> rusqlite::Result<()> {
        let before = self.undelivered.of_webhook(keys.webhook);
        let waits = match ordering {
            Ordering::Fifo => before != UndeliveredCounts::default(),
            Ordering::Parallel => {
                // Deliveries may still be waiting from when the webhook was `Fifo`.
                self.promote(app, keys.webhook, PROMOTE_BATCH as i64, delivery.now)?;
                false
            }
        };
        let state = if waits { DeliveryState::Waiting } else { DeliveryState::Pending };
        let sql = "INSERT INTO delivery
            (key, tail, event, generation, app, webhook, state, attempts, due)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8)";
        let NewDelivery { id, event, generation, now } = delivery;
        let (key, tail, event) = (codec::key(id), codec::tail(id), codec::key(event));
        self.db.prepare_cached(sql)?.execute((
            key,
            tail,
            event,
            generation,
            keys.app,
            keys.webhook,
            state,
            now,
        ))?;
        self.stored.change(keys.app, app, DELIVERY_BYTES);
        self.undelivered.begin(app, keys.webhook, key, if waits { WAITING } else { PENDING });
        if !waits {
            self.mark_due(app, now);
        }
        Ok(())
    }

    /// Makes up to `limit` waiting deliveries of a webhook pending, oldest first.
    fn promote(
        &mut self,
        app: AppId,
        webhook: i64,
        limit: i64,
        now: Moment,
    ) -> rusqlite::Result<()> {
        if self.undelivered.of_webhook(webhook).waiting == 0 {
            return Ok(());
        }
        let promoted = self.db.prepare_cached(PROMOTE)?.execute((webhook, limit, now))? as i64;
        self.undelivered.promote(app, webhook, promoted);
        self.mark_due(app, now);
        Ok(())
    }

    /// Records an attempt and the delivery's next state.
    pub fn settle(
        &mut self,
        lease: Lease,
        attempted: &Attempted,
        next: Next,
    ) -> rusqlite::Result<Settled> {
        let key = codec::key(lease.delivery);
        let end = attempted.started + attempted.took;
        let Some(ended) = self.leases.end(key, lease.token) else { return Ok(Settled::Stale) };
        self.ended_leases.push((key, ended, end));
        let Some((webhook, app_key)) = self.update_delivery(key, attempted, next, end)? else {
            return Ok(Settled::Stale);
        };
        let app = self.webhooks.get(&self.db, webhook)?.app;
        if self.quota.is_nearly_full(&self.stored, app_key, app.namespace()) {
            // Keeps only the last attempt, so that attempts of failing deliveries do not exceed the
            // share.
            let freed = retention::delete_attempts(&self.db, key)?;
            self.stored.change(app_key, app, -freed);
        }
        let bytes = self.write_attempt(key, attempted)?;
        self.stored.change(app_key, app, bytes);
        match next {
            Next::Retry(due) => {
                self.mark_due(app, due);
                return Ok(Settled::Recorded);
            }
            Next::Succeeded => self.tallies.succeeded(webhook, end),
            Next::Dead(_) => self.tallies.dead(webhook, 1),
        }
        self.undelivered.end(app, webhook, key, PENDING);
        if self.undelivered.of_webhook(webhook).pending == 0 {
            self.promote(app, webhook, 1, end)?;
        }
        Ok(Settled::Recorded)
    }

    /// Updates a pending delivery. Returns the keys of its webhook and app; `None` if it was not
    /// pending.
    fn update_delivery(
        &self,
        key: i64,
        attempted: &Attempted,
        next: Next,
        end: Moment,
    ) -> rusqlite::Result<Option<(i64, i64)>> {
        let (state, due, finished, reason) = match next {
            Next::Succeeded => (DeliveryState::Succeeded, end, Some(end), None),
            Next::Dead(reason) => (DeliveryState::Dead, end, Some(end), Some(reason)),
            Next::Retry(due) => (DeliveryState::Pending, due, None, None),
        };
        let sql = concat!(
            "UPDATE delivery SET state = ?2, attempts = ?3, due = ?4, finished = ?5,
            reason = ?6, last_status = ?7 WHERE key = ?1 AND state = ",
            state!(Pending),
            " RETURNING webhook, app",
        );
        let values = (key, state, attempted.number, due, finished, reason, attempted.status);
        let keys = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        self.db.prepare_cached(sql)?.query_row(values, keys).optional()
    }

    /// Writes an attempt. Returns the bytes to charge the app for.
    fn write_attempt(&self, delivery: i64, attempted: &Attempted) -> rusqlite::Result<i64> {
        let Attempted { number, started, took, status, error, answer } = attempted;
        let answer = (!answer.is_empty()).then_some(&answer[..]);
        let took = i64::try_from(took.as_micros()).unwrap_or(i64::MAX);
        let sql = "INSERT INTO attempt (delivery, number, started, took, status, error, answer)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let values = (delivery, number, started, took, status, error.as_deref(), answer);
        self.db.prepare_cached(sql)?.execute(values)?;
        let content = answer.map_or(0, <[u8]>::len) + error.as_deref().map_or(0, str::len);
        Ok(ATTEMPT_BYTES + content as i64)
    }

    /// Marks some undelivered deliveries of an app as dead. Returns how many.
    pub fn give_up(
        &mut self,
        app: AppId,
        reason: DeadReason,
        now: Moment,
    ) -> rusqlite::Result<usize> {
        let Some(key) = self.webhooks.app(&self.db, app)? else { return Ok(0) };
        for (sql, was) in [(GIVE_UP_PENDING, PENDING), (GIVE_UP_WAITING, WAITING)] {
            let mut update = self.db.prepare_cached(sql)?;
            let rows = update.query_map((key, now, reason, GIVE_UP_BATCH), |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })?;
            let given_up = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            drop(update);
            for (delivery, webhook) in &given_up {
                self.leases.revoke(*delivery);
                self.undelivered.end(app, *webhook, *delivery, was);
                self.tallies.dead(*webhook, 1);
            }
            if !given_up.is_empty() {
                return Ok(given_up.len());
            }
        }
        Ok(0)
    }

    /// Creates a new delivery of the event of a delivery.
    pub fn replay(&mut self, id: Uuid, now: Moment) -> rusqlite::Result<Option<Uuid>> {
        let sql = "SELECT d.event, e.tail, d.webhook, d.app,
              1 + max(d.generation, coalesce(
                (SELECT max(generation) FROM delivery r WHERE r.generation > 1 AND r.event = d.event), 1))
            FROM delivery d JOIN event e ON e.key = d.event WHERE d.key = ?1 AND d.tail = ?2";
        let found = self
            .db
            .prepare_cached(sql)?
            .query_row((codec::key(id), codec::tail(id)), |row| {
                let event = codec::id(row.get(0)?, row.get(1)?);
                Ok((event, RowKeys { webhook: row.get(2)?, app: row.get(3)? }, row.get(4)?))
            })
            .optional()?;
        let Some((event, keys, generation)) = found else { return Ok(None) };
        let webhook = self.webhooks.get(&self.db, keys.webhook)?;
        let delivery = NewDelivery { id: self.ids.next(now), event, generation, now };
        let id = delivery.id;
        self.create_delivery(keys, webhook.app, webhook.ordering, delivery)?;
        Ok(Some(id))
    }

    /// Creates new deliveries for events whose latest delivery has finished and matches the filter.
    pub fn replay_all(
        &mut self,
        filter: &Filter,
        cursor: Option<Uuid>,
        limit: usize,
        now: Moment,
    ) -> rusqlite::Result<Replayed> {
        let (ids, cursor) = history::replayable(&self.db, filter, cursor, limit)?;
        for id in &ids {
            self.replay(*id, now)?;
        }
        Ok(Replayed { count: ids.len(), cursor })
    }

    fn mark_due(&mut self, app: AppId, due: Moment) {
        let earliest = self.due.entry(app).or_insert(due);
        *earliest = due.min(*earliest);
    }
}

struct NewDelivery {
    id: Uuid,
    event: Uuid,
    generation: u32,
    now: Moment,
}
