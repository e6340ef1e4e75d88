//! The `owner` table: which namespace owns an app UUID. The records survive the app and restarts.

use std::sync::Arc;

use rusqlite::Connection;
use uuid::Uuid;

use super::failure::readable;
use crate::moment::Moment;
use crate::store::Owner;

/// Reads all owners.
pub fn read(db: &Connection) -> rusqlite::Result<Vec<Owner>> {
    let mut select = db.prepare("SELECT uuid, namespace FROM owner")?;
    let owners = select.query_map((), |row| {
        let namespace: Arc<str> = row.get(1)?;
        Ok(Owner { uuid: Uuid::from_bytes(row.get(0)?), namespace })
    })?;
    owners.filter_map(readable).collect()
}

/// Records owners, and overwrites existing records.
pub fn record(db: &Connection, owners: &[Owner], now: Moment) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO owner (uuid, namespace, seen) VALUES (?1, ?2, ?3)";
    let mut insert = db.prepare_cached(sql)?;
    for Owner { uuid, namespace } in owners {
        insert.execute((uuid.as_bytes(), namespace, now))?;
    }
    Ok(())
}

/// Deletes records that were last written before `until` and whose app has no stored data.
pub fn prune(db: &Connection, until: Moment) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM owner WHERE seen < ?1
        AND NOT EXISTS (SELECT 1 FROM app WHERE app.uuid = owner.uuid)";
    db.prepare_cached(sql)?.execute((until,))
}
