//! Deletes the rows of unused webhooks and apps. Otherwise the tables would grow with every webhook
//! ever created.

use rusqlite::Connection;

/// A webhook that may be deleted.
#[derive(Clone, Copy, Debug)]
pub struct PruneCandidate {
    /// The key of the webhook.
    pub webhook: i64,
    /// The key of the app.
    pub app: i64,
    /// Whether no delivery and no duplicate key refers to the webhook.
    pub is_unused: bool,
}

/// Reads at most `limit` webhooks with keys greater than `after`, by key.
pub fn candidates(
    db: &Connection,
    after: i64,
    limit: i64,
) -> rusqlite::Result<Vec<PruneCandidate>> {
    let sql = "SELECT key, app, NOT EXISTS (SELECT 1 FROM delivery WHERE webhook = w.key)
            AND NOT EXISTS (SELECT 1 FROM duplicate WHERE webhook = w.key)
        FROM webhook w WHERE key > ?1 ORDER BY key LIMIT ?2";
    let mut select = db.prepare_cached(sql)?;
    let rows = select.query_map((after, limit), |row| {
        Ok(PruneCandidate { webhook: row.get(0)?, app: row.get(1)?, is_unused: row.get(2)? })
    })?;
    rows.collect()
}

/// Deletes a webhook and its tally, and the app if this was its last webhook. Returns whether the
/// app was deleted.
pub fn delete(
    db: &Connection,
    PruneCandidate { webhook, app, .. }: PruneCandidate,
) -> rusqlite::Result<bool> {
    db.prepare_cached("DELETE FROM tally WHERE webhook = ?1")?.execute((webhook,))?;
    db.prepare_cached("DELETE FROM webhook WHERE key = ?1")?.execute((webhook,))?;
    let sql = "DELETE FROM app WHERE key = ?1
        AND NOT EXISTS (SELECT 1 FROM webhook WHERE app = ?1)";
    Ok(db.prepare_cached(sql)?.execute((app,))? > 0)
}
