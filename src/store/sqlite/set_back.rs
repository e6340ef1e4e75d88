//! A file that was last used under a clock that was ahead of the present one.
//!
//! Within a process the clock does not jump (see [`crate::moment::steady`]). Between two processes it may be set
//! back: pending deliveries would be delayed by the step. The file therefore records the time (table `clock`). The
//! ids do not show it: after a step back they continue from the largest one.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};

use super::codec::state;
use crate::moment::Moment;

/// The longest wait between attempts: 720 hours and the whole of their jitter, see [`crate::resources::Retry`].
const LONGEST_WAIT: Duration = Duration::from_secs(2 * 720 * 3600);

/// Smaller differences are ignored: time synchronization corrects clocks by as much all the time.
const TOLERANCE: Duration = Duration::from_secs(2);

/// Moves the times in the file by as much as the clock was set back since it was last recorded, and records the
/// present time. One transaction: a crash must not move them twice.
pub fn adjust(db: &Connection, now: Moment) -> rusqlite::Result<()> {
    let transaction = db.unchecked_transaction()?;
    let behind = recorded(db)?.since(now);
    if behind > TOLERANCE {
        tracing::warn!(
            behind_seconds = behind.as_secs(),
            "the clock was set back since the queue was last used: its times are moved by as much"
        );
        move_back(db, behind, now)?;
    }
    let sql =
        concat!("UPDATE delivery SET due = ?1 WHERE state = ", state!(Pending), " AND due > ?2");
    db.execute(sql, (now, now + LONGEST_WAIT))?;
    record(db, now)?;
    transaction.commit()
}

/// Records the time, so that a later process can tell whether the clock was set back.
pub fn record(db: &Connection, now: Moment) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO clock (id, seen) VALUES (1, ?1)";
    db.prepare_cached(sql)?.execute((now,)).map(drop)
}

fn recorded(db: &Connection) -> rusqlite::Result<Moment> {
    let seen = db.query_row("SELECT seen FROM clock WHERE id = 1", (), |row| row.get(0));
    Ok(seen.optional()?.unwrap_or_default())
}

fn move_back(db: &Connection, by: Duration, now: Moment) -> rusqlite::Result<()> {
    let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    let sql = concat!("UPDATE delivery SET due = max(due - ?1, 0) WHERE state = ", state!(Pending));
    db.execute(sql, (by,))?;
    // Retention and windows would last longer by the step.
    for sql in [
        "UPDATE delivery SET finished = max(finished - ?1, 0) WHERE finished > ?2",
        "UPDATE duplicate SET until = max(until - ?1, 0) WHERE until > ?2",
        "UPDATE tally SET last = max(last - ?1, 0) WHERE last > ?2",
        "UPDATE owner SET seen = max(seen - ?1, 0) WHERE seen > ?2",
    ] {
        db.execute(sql, (by, now))?;
    }
    Ok(())
}
