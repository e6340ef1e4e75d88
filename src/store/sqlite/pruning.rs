//! Rows of webhooks and apps of which nothing is left: they would grow with every webhook that ever was.

use rusqlite::Connection;

/// A webhook's row.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Its key.
    pub webhook: i64,
    /// The key of its app.
    pub app: i64,
    /// Whether nothing refers to it: no delivery and no duplicate key.
    pub is_unused: bool,
}

/// Webhooks in the order of their keys, at most `most` after a key.
pub fn candidates(db: &Connection, after: i64, most: i64) -> rusqlite::Result<Vec<Candidate>> {
    let sql = "SELECT key, app, NOT EXISTS (SELECT 1 FROM delivery WHERE webhook = w.key)
            AND NOT EXISTS (SELECT 1 FROM duplicate WHERE webhook = w.key)
        FROM webhook w WHERE key > ?1 ORDER BY key LIMIT ?2";
    let mut select = db.prepare_cached(sql)?;
    let rows = select.query_map((after, most), |row| {
        Ok(Candidate { webhook: row.get(0)?, app: row.get(1)?, is_unused: row.get(2)? })
    })?;
    rows.collect()
}

/// Deletes a webhook and its tally, and its app if that was the last one; says whether the app was deleted.
pub fn delete(
    db: &Connection,
    Candidate { webhook, app, .. }: Candidate,
) -> rusqlite::Result<bool> {
    db.prepare_cached("DELETE FROM tally WHERE webhook = ?1")?.execute((webhook,))?;
    db.prepare_cached("DELETE FROM webhook WHERE key = ?1")?.execute((webhook,))?;
    let sql = "DELETE FROM app WHERE key = ?1
        AND NOT EXISTS (SELECT 1 FROM webhook WHERE app = ?1)";
    Ok(db.prepare_cached(sql)?.execute((app,))? > 0)
}
