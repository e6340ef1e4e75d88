//! What has ended is kept for a time and forgotten in small steps; what has not ended is never touched.

use std::collections::HashMap;

use rusqlite::Connection;

use crate::moment::Moment;

/// Forgets deliveries that ended by `until`, those that ended first before the others, at most `most`,
/// with their attempts, and events of which no delivery is left. Says how many of them were dead, by
/// webhook.
pub fn forget(db: &Connection, until: Moment, most: usize) -> rusqlite::Result<HashMap<i64, i64>> {
    let sql = "SELECT key, event, webhook, state = 3 FROM delivery WHERE finished IS NOT NULL AND finished <= ?1
        ORDER BY finished LIMIT ?2";
    let ended = db
        .prepare_cached(sql)?
        .query_map((until, most as i64), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?
        .collect::<rusqlite::Result<Vec<(i64, i64, i64, bool)>>>()?;
    let mut dead = HashMap::new();
    for (delivery, event, webhook, is_dead) in &ended {
        if *is_dead {
            *dead.entry(*webhook).or_default() += 1;
        }
        db.prepare_cached("DELETE FROM attempt WHERE delivery = ?1")?.execute((delivery,))?;
        db.prepare_cached("DELETE FROM delivery WHERE key = ?1")?.execute((delivery,))?;
        // The first delivery of an event has its key.
        let sql = "DELETE FROM event WHERE key = ?1
            AND NOT EXISTS (SELECT 1 FROM delivery WHERE key = ?1)
            AND NOT EXISTS (SELECT 1 FROM delivery WHERE generation > 1 AND event = ?1)";
        db.prepare_cached(sql)?.execute((event,))?;
    }
    Ok(dead)
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

/// When the first of what has ended did.
pub fn first_end(db: &Connection) -> rusqlite::Result<Option<Moment>> {
    let sql = "SELECT min(finished) FROM delivery WHERE finished IS NOT NULL";
    db.prepare_cached(sql)?.query_row((), |row| row.get(0))
}

/// When the first window of a duplicate key is over.
pub fn first_window(db: &Connection) -> rusqlite::Result<Option<Moment>> {
    db.prepare_cached("SELECT min(until) FROM duplicate")?.query_row((), |row| row.get(0))
}
