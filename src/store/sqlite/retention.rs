//! Deletes finished deliveries after the retention period, in small batches that do not delay
//! writes. Undelivered deliveries are never deleted.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Params};

use super::codec::state;
use super::stored_bytes::{ATTEMPT_BYTES, DELIVERY_BYTES, EVENT_BYTES};
use crate::moment::Moment;
use crate::store::DeliveryState;

/// A delivery that succeeded or died.
struct FinishedDelivery {
    delivery: i64,
    event: i64,
    webhook: i64,
    app: i64,
    is_dead: bool,
}

/// The result of a deletion.
#[derive(Debug, Default)]
pub struct Deleted {
    /// Number of deleted deliveries.
    pub count: usize,
    /// Number of deleted dead deliveries by webhook.
    pub dead: HashMap<i64, i64>,
    /// Freed bytes by app.
    pub bytes: HashMap<i64, i64>,
}

/// Deletes at most `limit` deliveries that finished by `until`, earliest first, with their
/// attempts, and events without a remaining delivery.
pub fn delete_expired(db: &Connection, until: Moment, limit: usize) -> rusqlite::Result<Deleted> {
    let sql = concat!(
        "SELECT key, event, webhook, app, state = ",
        state!(Dead),
        " FROM delivery
        WHERE finished IS NOT NULL AND finished <= ?1 ORDER BY finished LIMIT ?2",
    );
    delete(db, select(db, sql, (until, limit as i64))?)
}

/// Deletes deliveries of an app that finished in this state, oldest first. Otherwise like
/// [`delete_expired`].
pub fn delete_finished(
    db: &Connection,
    app: i64,
    state: DeliveryState,
    limit: usize,
) -> rusqlite::Result<Deleted> {
    let sql = concat!(
        "SELECT key, event, webhook, app, state = ",
        state!(Dead),
        " FROM delivery
        WHERE finished IS NOT NULL AND app = ?1 AND state = ?2 ORDER BY key LIMIT ?3",
    );
    delete(db, select(db, sql, (app, state, limit as i64))?)
}

fn select(
    db: &Connection,
    sql: &str,
    values: impl Params,
) -> rusqlite::Result<Vec<FinishedDelivery>> {
    let mut select = db.prepare_cached(sql)?;
    let finished = select.query_map(values, |row| {
        Ok(FinishedDelivery {
            delivery: row.get(0)?,
            event: row.get(1)?,
            webhook: row.get(2)?,
            app: row.get(3)?,
            is_dead: row.get(4)?,
        })
    })?;
    finished.collect()
}

fn delete(db: &Connection, finished: Vec<FinishedDelivery>) -> rusqlite::Result<Deleted> {
    let mut deleted = Deleted { count: finished.len(), ..Deleted::default() };
    for FinishedDelivery { delivery, event, webhook, app, is_dead } in finished {
        if is_dead {
            *deleted.dead.entry(webhook).or_default() += 1;
        }
        let bytes = deleted.bytes.entry(app).or_default();
        *bytes += DELIVERY_BYTES + delete_attempts(db, delivery)?;
        db.prepare_cached("DELETE FROM delivery WHERE key = ?1")?.execute((delivery,))?;
        // Finds deliveries by key (the first delivery has the key of its event) or by the index of
        // replays.
        let sql = "DELETE FROM event WHERE key = ?1
            AND NOT EXISTS (SELECT 1 FROM delivery WHERE key = ?1)
            AND NOT EXISTS (SELECT 1 FROM delivery WHERE generation > 1 AND event = ?1)
            RETURNING length(body) + length(headers)";
        let event: Option<i64> =
            db.prepare_cached(sql)?.query_row((event,), |row| row.get(0)).optional()?;
        *bytes += event.map_or(0, |content| EVENT_BYTES + content);
    }
    Ok(deleted)
}

/// Deletes the attempts of a delivery. Returns the bytes that the app was charged for them.
pub fn delete_attempts(db: &Connection, delivery: i64) -> rusqlite::Result<i64> {
    let sql = "DELETE FROM attempt WHERE delivery = ?1
        RETURNING coalesce(length(answer), 0) + coalesce(octet_length(error), 0)";
    let mut delete = db.prepare_cached(sql)?;
    let bytes = delete.query_map((delivery,), |row| row.get::<_, i64>(0))?;
    bytes.map(|content| Ok(ATTEMPT_BYTES + content?)).sum()
}

/// Deletes at most `limit` duplicate keys whose window has passed. Returns how many.
pub fn delete_expired_duplicates(
    db: &Connection,
    now: Moment,
    limit: usize,
) -> rusqlite::Result<usize> {
    let sql = "SELECT webhook, hash FROM duplicate WHERE until <= ?1 LIMIT ?2";
    let expired = db
        .prepare_cached(sql)?
        .query_map((now, limit as i64), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(i64, [u8; 16])>>>()?;
    for (webhook, hash) in &expired {
        let sql = "DELETE FROM duplicate WHERE webhook = ?1 AND hash = ?2";
        db.prepare_cached(sql)?.execute((webhook, hash))?;
    }
    Ok(expired.len())
}

/// The earliest end of a finished delivery. Skips invalid times: such a row must not stop the
/// store.
pub fn first_end(db: &Connection) -> rusqlite::Result<Option<Moment>> {
    let sql = "SELECT min(finished) FROM delivery
        WHERE finished IS NOT NULL AND finished >= 0";
    db.prepare_cached(sql)?.query_row((), |row| row.get(0))
}

/// The earliest end of a duplicate key's window. Skips invalid times.
pub fn first_window(db: &Connection) -> rusqlite::Result<Option<Moment>> {
    db.prepare_cached("SELECT min(until) FROM duplicate WHERE until >= 0")?
        .query_row((), |row| row.get(0))
}
