//! A file that was written by a clock that was ahead of the present one.
//!
//! Within a process the clock does not jump (see [`crate::moment::steady`]). Between two of them it may have been set
//! back: what is due would wait for as long as that.

use std::time::Duration;

use rusqlite::Connection;

use super::codec;
use crate::moment::Moment;
use crate::store::ids;

/// The longest wait between attempts: 720 hours and the whole of their jitter, see [`crate::resources::Retry`].
const LONGEST_WAIT: Duration = Duration::from_secs(2 * 720 * 3600);

/// Times in the file may be ahead by this without a clock that was set: an attempt ends after a measured duration, and
/// ids may run ahead of the clock.
const TOLERANCE: Duration = Duration::from_secs(2);

/// Makes pending deliveries due earlier by as much as the clock is behind the latest time in the file.
pub fn pull_back(db: &Connection, now: Moment) -> rusqlite::Result<()> {
    let sql = "SELECT coalesce(max(key), 0) FROM delivery";
    let last_key = db.query_row(sql, (), |row| row.get(0))?;
    let sql = "SELECT max(finished) FROM delivery WHERE finished IS NOT NULL";
    let finished: Option<Moment> = db.query_row(sql, (), |row| row.get(0)).unwrap_or(None);
    let last = ids::moment(codec::id(last_key, 0)).max(finished.unwrap_or_default());
    let behind = last.since(now);
    if behind > TOLERANCE {
        tracing::warn!(
            behind_seconds = behind.as_secs(),
            "the clock is behind the times in the queue: deliveries are due earlier by as much"
        );
        let millis = i64::try_from(behind.as_millis()).unwrap_or(i64::MAX);
        let sql = "UPDATE delivery SET due = max(due - ?1, 0) WHERE state = 0";
        db.execute(sql, (millis,))?;
    }
    let sql = "UPDATE delivery SET due = ?1 WHERE state = 0 AND due > ?2";
    db.execute(sql, (now, now + LONGEST_WAIT))?;
    Ok(())
}
