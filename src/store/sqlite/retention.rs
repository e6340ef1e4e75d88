//! What has ended is kept for a time and forgotten in small steps; what has not ended is never touched.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Params};

use super::stored_bytes::{ATTEMPT_BYTES, DELIVERY_BYTES, EVENT_BYTES};
use crate::moment::Moment;
use crate::store::State;

/// A delivery that has ended.
struct Ended {
    delivery: i64,
    event: i64,
    webhook: i64,
    app: i64,
    is_dead: bool,
}

/// What was deleted.
#[derive(Debug, Default)]
pub struct Forgotten {
    /// How many deliveries.
    pub count: usize,
    /// How many dead ones of each webhook.
    pub dead: HashMap<i64, i64>,
    /// The bytes that each app was charged for.
    pub bytes: HashMap<i64, i64>,
}

/// Forgets deliveries that ended by `until`, those that ended first before the others, at most `most`,
/// with their attempts, and events of which no delivery is left.
pub fn forget(db: &Connection, until: Moment, most: usize) -> rusqlite::Result<Forgotten> {
    let sql = "SELECT key, event, webhook, app, state = 3 FROM delivery
        WHERE finished IS NOT NULL AND finished <= ?1 ORDER BY finished LIMIT ?2";
    delete(db, select(db, sql, (until, most as i64))?)
}

/// Forgets deliveries of one app that have ended in this state, the oldest first, as [`forget`] does.
pub fn forget_of(
    db: &Connection,
    app: i64,
    state: State,
    most: usize,
) -> rusqlite::Result<Forgotten> {
    let sql = "SELECT key, event, webhook, app, state = 3 FROM delivery
        WHERE finished IS NOT NULL AND app = ?1 AND state = ?2 ORDER BY key LIMIT ?3";
    delete(db, select(db, sql, (app, state, most as i64))?)
}

fn select(db: &Connection, sql: &str, values: impl Params) -> rusqlite::Result<Vec<Ended>> {
    let mut select = db.prepare_cached(sql)?;
    let ended = select.query_map(values, |row| {
        Ok(Ended {
            delivery: row.get(0)?,
            event: row.get(1)?,
            webhook: row.get(2)?,
            app: row.get(3)?,
            is_dead: row.get(4)?,
        })
    })?;
    ended.collect()
}

fn delete(db: &Connection, ended: Vec<Ended>) -> rusqlite::Result<Forgotten> {
    let mut forgotten = Forgotten { count: ended.len(), ..Forgotten::default() };
    for Ended { delivery, event, webhook, app, is_dead } in ended {
        if is_dead {
            *forgotten.dead.entry(webhook).or_default() += 1;
        }
        let bytes = forgotten.bytes.entry(app).or_default();
        *bytes += DELIVERY_BYTES + delete_attempts(db, delivery)?;
        db.prepare_cached("DELETE FROM delivery WHERE key = ?1")?.execute((delivery,))?;
        // The first delivery of an event has its key.
        let sql = "DELETE FROM event WHERE key = ?1
            AND NOT EXISTS (SELECT 1 FROM delivery WHERE key = ?1)
            AND NOT EXISTS (SELECT 1 FROM delivery WHERE generation > 1 AND event = ?1)
            RETURNING length(body) + length(headers)";
        let event: Option<i64> =
            db.prepare_cached(sql)?.query_row((event,), |row| row.get(0)).optional()?;
        *bytes += event.map_or(0, |content| EVENT_BYTES + content);
    }
    Ok(forgotten)
}

/// Deletes the attempts of a delivery; returns the bytes that the app was charged for.
pub fn delete_attempts(db: &Connection, delivery: i64) -> rusqlite::Result<i64> {
    let sql = "DELETE FROM attempt WHERE delivery = ?1
        RETURNING coalesce(length(answer), 0) + coalesce(octet_length(error), 0)";
    let mut delete = db.prepare_cached(sql)?;
    let bytes = delete.query_map((delivery,), |row| row.get::<_, i64>(0))?;
    bytes.map(|content| Ok(ATTEMPT_BYTES + content?)).sum()
}

/// Forgets duplicate keys whose window is over; says how many: at most `most`.
pub fn forget_duplicates(db: &Connection, now: Moment, most: usize) -> rusqlite::Result<usize> {
    let sql = "SELECT webhook, hash FROM duplicate WHERE until <= ?1 LIMIT ?2";
    let over = db
        .prepare_cached(sql)?
        .query_map((now, most as i64), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(i64, [u8; 16])>>>()?;
    for (webhook, hash) in &over {
        let sql = "DELETE FROM duplicate WHERE webhook = ?1 AND hash = ?2";
        db.prepare_cached(sql)?.execute((webhook, hash))?;
    }
    Ok(over.len())
}

/// When the first of what has ended did. Times that cannot be read are left out: such a row must not stop the store.
pub fn first_end(db: &Connection) -> rusqlite::Result<Option<Moment>> {
    let sql = "SELECT min(finished) FROM delivery
        WHERE finished IS NOT NULL AND finished >= 0";
    db.prepare_cached(sql)?.query_row((), |row| row.get(0))
}

/// When the first window of a duplicate key is over; times that cannot be read are left out.
pub fn first_window(db: &Connection) -> rusqlite::Result<Option<Moment>> {
    db.prepare_cached("SELECT min(until) FROM duplicate WHERE until >= 0")?
        .query_row((), |row| row.get(0))
}
