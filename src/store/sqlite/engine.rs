//! What is done in the file, one operation a method, without a thread, a channel or a clock.
//!
//! Writes happen between [`Engine::begin`] and [`Engine::commit`]; what is in memory (leases, counts,
//! news) follows the transaction: it is taken back when that is.

mod housekeeping;
mod take;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

use super::failure::readable;
use super::job::Done;
use super::leases::{Given, Leases};
use super::open::{Counts, Open, PENDING, WAITING};
use super::quota::Quota;
use super::stored_bytes::{ATTEMPT_BYTES, DELIVERY_BYTES, EVENT_BYTES, StoredBytes};
use super::tallies::Tallies;
use super::webhooks::{Keys, Webhooks};
use super::{codec, history, retention};
use crate::moment::Moment;
use crate::resources::Ordering;
use crate::routes::{AppId, Route};
use crate::store::{
    Accepted, Attempted, Filter, Ids, Lease, NewEvent, Next, Reason, Replayed, Settled, State,
    StoreError, StoredWebhook, Tally, ids,
};

/// How many waiting deliveries become pending at once when a webhook ceases to be `Fifo`.
const PROMOTED_AT_ONCE: i64 = 100;

/// How many deliveries are given up at once.
const GIVEN_UP_AT_ONCE: i64 = 500;

/// The file, and what is known of it in memory.
#[derive(Debug)]
pub struct Engine {
    db: Connection,
    ids: Arc<Ids>,
    webhooks: Webhooks,
    leases: Leases,
    open: Open,
    tallies: Tallies,
    /// Leases that were ended since the last commit.
    ended: Vec<(i64, Given, Moment)>,
    /// What is due since the last commit.
    due: HashMap<AppId, Moment>,
    stored: StoredBytes,
    quota: Quota,
    /// Whether the store as a whole runs short of room.
    is_scarce: bool,
    /// The keys of apps that were refused room, so that it is logged once.
    refused: HashSet<i64>,
    /// The key up to which webhooks were looked at for pruning.
    pruned_to: i64,
    /// Deliveries that were found to be unreadable.
    unreadable: Vec<(i64, AppId)>,
}

impl Engine {
    /// The engine of a file that has the present schema.
    pub fn new(db: Connection, ids: Arc<Ids>, max_bytes: u64) -> rusqlite::Result<Self> {
        let last: Option<i64> = db.query_row(
            "SELECT max(key) FROM (SELECT max(key) AS key FROM event UNION ALL SELECT max(key) FROM delivery)",
            (),
            |row| row.get(0),
        )?;
        ids.follow(last.unwrap_or(0) as u64);
        let open = Open::read(&db)?;
        let tallies = Tallies::read(&db)?;
        // When is found out by the first take.
        let due = open.apps().keys().map(|app| (*app, Moment(0))).collect();
        let stored = StoredBytes::read(&db)?;
        Ok(Self {
            db,
            ids,
            webhooks: Webhooks::default(),
            leases: Leases::default(),
            open,
            tallies,
            ended: Vec::new(),
            due,
            stored,
            quota: Quota::of(max_bytes),
            is_scarce: false,
            refused: HashSet::new(),
            pruned_to: 0,
            unreadable: Vec::new(),
        })
    }

    /// The connection, for what has nothing to do with deliveries.
    pub fn db(&self) -> &Connection {
        &self.db
    }

    /// What has not ended.
    pub fn open(&self) -> &Open {
        &self.open
    }

    /// What has become of the deliveries of each webhook that had one.
    pub fn tallies(&mut self) -> rusqlite::Result<Vec<(Arc<StoredWebhook>, Tally)>> {
        let mut tallies: HashMap<i64, Tally> = HashMap::new();
        for (webhook, pending) in self.open.webhooks() {
            tallies.entry(webhook).or_default().pending = pending as u64;
        }
        for (webhook, ended) in self.tallies.all() {
            let tally = tallies.entry(webhook).or_default();
            tally.succeeded = ended.succeeded as u64;
            tally.dead = ended.dead as u64;
            tally.last = ended.last;
        }
        let named = tallies
            .into_iter()
            .map(|(webhook, tally)| Ok((self.webhooks.get(&self.db, webhook)?, tally)));
        named.filter_map(readable).collect()
    }

    /// Whether there are numbers that a crash would take.
    pub fn has_unsaved(&self) -> bool {
        self.tallies.are_unsaved()
    }

    /// Begins a transaction.
    pub fn begin(&mut self) -> rusqlite::Result<()> {
        self.db.prepare_cached("BEGIN IMMEDIATE")?.execute(()).map(drop)
    }

    /// Ends the transaction: when this returns, what was written since `begin` is on stable storage.
    pub fn commit(&mut self) -> rusqlite::Result<()> {
        self.stored.save(&self.db)?;
        self.db.prepare_cached("COMMIT")?.execute(())?;
        self.stored.commit();
        self.open.commit();
        self.tallies.commit();
        self.ended.clear();
        Ok(())
    }

    /// Takes back what was written since `begin`.
    pub fn roll_back(&mut self) -> rusqlite::Result<()> {
        self.stored.roll_back();
        self.open.roll_back();
        self.tallies.roll_back();
        self.webhooks.forget();
        self.due.clear();
        for (delivery, given, now) in std::mem::take(&mut self.ended) {
            self.leases.renew(delivery, given, now);
        }
        // SQLite may have done it by itself.
        if self.db.is_autocommit() { Ok(()) } else { self.db.execute_batch("ROLLBACK") }
    }

    /// Which apps have something due since this was last asked for.
    pub fn take_due(&mut self) -> impl Iterator<Item = (AppId, Moment)> + '_ {
        self.due.drain()
    }

    /// Stores an event, its duplicate key and its first delivery, if its app has room.
    pub fn accept(&mut self, event: &NewEvent) -> Done<Accepted> {
        let keys = self.webhooks.keys(&self.db, &event.route)?;
        if let Some(first) = self.first_copy(keys, event)? {
            return Ok(Ok(Accepted::Duplicate(first)));
        }
        let content = &event.content;
        let headers = codec::headers_to_bytes(&content.headers);
        let bytes = EVENT_BYTES + (content.body.len() + headers.len()) as i64;
        if !self.has_room(keys.app, &event.route, bytes + DELIVERY_BYTES) {
            return Ok(Err(StoreError::AppFull));
        }
        self.remember_copy(keys, event)?;
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
        self.begin_delivery(keys, event.route.app.id, ordering, delivery)?;
        Ok(Ok(Accepted::Stored))
    }

    /// Whether an app may store so many bytes more. That it may not is logged when it begins.
    fn has_room(&mut self, key: i64, route: &Route, bytes: i64) -> bool {
        let app = &route.app;
        if self.quota.admits(&self.stored, key, app.id.namespace(), bytes, self.is_scarce) {
            self.refused.remove(&key);
            return true;
        }
        if self.refused.insert(key) {
            tracing::warn!(
                namespace = &*app.namespace,
                app = &*app.name,
                "the app's share of the store is full: its triggers are refused until there is room"
            );
        }
        false
    }

    /// The event that came before and is the same.
    fn first_copy(&self, keys: Keys, event: &NewEvent) -> rusqlite::Result<Option<Uuid>> {
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
        let is_same = |first: &Uuid| ids::moment(*first) + duplicate.window > event.now;
        Ok(first.filter(is_same))
    }

    /// Remembers an event that may be sent again.
    fn remember_copy(&self, keys: Keys, event: &NewEvent) -> rusqlite::Result<()> {
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

    fn begin_delivery(
        &mut self,
        keys: Keys,
        app: AppId,
        ordering: Ordering,
        delivery: NewDelivery,
    ) -> rusqlite::Result<()> {
        let before = self.open.of(keys.webhook);
        let waits = match ordering {
            Ordering::Fifo => before != Counts::default(),
            Ordering::Parallel => {
                // What waited from when the webhook was `Fifo` waits no more.
                self.promote(app, keys.webhook, PROMOTED_AT_ONCE, delivery.now)?;
                false
            }
        };
        let state = if waits { State::Waiting } else { State::Pending };
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
        self.open.begin(app, keys.webhook, key, if waits { WAITING } else { PENDING });
        if !waits {
            self.tell(app, now);
        }
        Ok(())
    }

    /// Makes waiting deliveries of a webhook pending, the oldest first.
    fn promote(
        &mut self,
        app: AppId,
        webhook: i64,
        most: i64,
        now: Moment,
    ) -> rusqlite::Result<()> {
        if self.open.of(webhook).waiting == 0 {
            return Ok(());
        }
        let sql = "UPDATE delivery SET state = 0, due = ?3 WHERE key IN
            (SELECT key FROM delivery WHERE state = 1 AND webhook = ?1 ORDER BY key LIMIT ?2)";
        let promoted = self.db.prepare_cached(sql)?.execute((webhook, most, now))? as i64;
        self.open.promote(app, webhook, promoted);
        self.tell(app, now);
        Ok(())
    }

    /// Records an attempt and what follows from it.
    pub fn settle(
        &mut self,
        lease: Lease,
        attempted: &Attempted,
        next: Next,
    ) -> rusqlite::Result<Settled> {
        let key = codec::key(lease.delivery);
        let end = attempted.started + attempted.took;
        let Some(given) = self.leases.end(key, lease.token) else { return Ok(Settled::Stale) };
        self.ended.push((key, given, end));
        let Some((webhook, app_key)) = self.write_next(key, attempted, next, end)? else {
            return Ok(Settled::Stale);
        };
        let app = self.webhooks.get(&self.db, webhook)?.app;
        if self.quota.is_nearly_full(&self.stored, app_key, app.namespace()) {
            // Attempts of what does not succeed must not take more than the share: the last one is kept.
            let freed = retention::delete_attempts(&self.db, key)?;
            self.stored.change(app_key, app, -freed);
        }
        let bytes = self.write_attempt(key, attempted)?;
        self.stored.change(app_key, app, bytes);
        match next {
            Next::Retry(due) => {
                self.tell(app, due);
                return Ok(Settled::Recorded);
            }
            Next::Succeeded => self.tallies.succeeded(webhook, end),
            Next::Dead(_) => self.tallies.dead(webhook, 1),
        }
        self.open.end(app, webhook, key, PENDING);
        if self.open.of(webhook).pending == 0 {
            self.promote(app, webhook, 1, end)?;
        }
        Ok(Settled::Recorded)
    }

    /// The keys of the delivery's webhook and app, if it was pending.
    fn write_next(
        &self,
        key: i64,
        attempted: &Attempted,
        next: Next,
        end: Moment,
    ) -> rusqlite::Result<Option<(i64, i64)>> {
        let (state, due, finished, reason) = match next {
            Next::Succeeded => (State::Succeeded, end, Some(end), None),
            Next::Dead(reason) => (State::Dead, end, Some(end), Some(reason)),
            Next::Retry(due) => (State::Pending, due, None, None),
        };
        let sql = "UPDATE delivery SET state = ?2, attempts = ?3, due = ?4, finished = ?5,
            reason = ?6, last_status = ?7 WHERE key = ?1 AND state = 0 RETURNING webhook, app";
        let values = (key, state, attempted.number, due, finished, reason, attempted.status);
        let keys = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        self.db.prepare_cached(sql)?.query_row(values, keys).optional()
    }

    /// Writes an attempt; returns the bytes that the app is charged for.
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

    /// Gives up some of what is undelivered of an app, and says how many.
    pub fn give_up(&mut self, app: AppId, reason: Reason, now: Moment) -> rusqlite::Result<usize> {
        let Some(key) = self.webhooks.app(&self.db, app)? else { return Ok(0) };
        let set = "UPDATE delivery SET state = 3, finished = ?2, reason = ?3 WHERE key IN";
        let pending = "SELECT key FROM delivery WHERE state = 0 AND app = ?1 LIMIT ?4";
        let waiting = "SELECT key FROM delivery WHERE state = 1 AND webhook IN
            (SELECT key FROM webhook WHERE app = ?1) LIMIT ?4";
        for (which, was) in [(pending, PENDING), (waiting, WAITING)] {
            let sql = format!("{set} ({which}) RETURNING key, webhook");
            let mut update = self.db.prepare_cached(&sql)?;
            let rows = update.query_map((key, now, reason, GIVEN_UP_AT_ONCE), |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })?;
            let given_up = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            drop(update);
            for (delivery, webhook) in &given_up {
                self.leases.revoke(*delivery);
                self.open.end(app, *webhook, *delivery, was);
                self.tallies.dead(*webhook, 1);
            }
            if !given_up.is_empty() {
                return Ok(given_up.len());
            }
        }
        Ok(0)
    }

    /// Begins a new delivery of the event of another one.
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
                Ok((event, Keys { webhook: row.get(2)?, app: row.get(3)? }, row.get(4)?))
            })
            .optional()?;
        let Some((event, keys, generation)) = found else { return Ok(None) };
        let webhook = self.webhooks.get(&self.db, keys.webhook)?;
        let delivery = NewDelivery { id: self.ids.next(now), event, generation, now };
        let id = delivery.id;
        self.begin_delivery(keys, webhook.app, webhook.ordering, delivery)?;
        Ok(Some(id))
    }

    /// Begins new deliveries of events whose last delivery is meant and has ended.
    pub fn replay_all(
        &mut self,
        filter: &Filter,
        cursor: Option<Uuid>,
        limit: usize,
        now: Moment,
    ) -> rusqlite::Result<Replayed> {
        let (ids, cursor) = history::last_of_their_events(&self.db, filter, cursor, limit)?;
        for id in &ids {
            self.replay(*id, now)?;
        }
        Ok(Replayed { count: ids.len(), cursor })
    }

    fn tell(&mut self, app: AppId, due: Moment) {
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
