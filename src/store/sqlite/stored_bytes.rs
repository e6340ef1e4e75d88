//! The bytes that each app uses. They are kept in memory, saved in the transaction that changes
//! them, and rolled back with it.
//!
//! An app is charged for the content of its rows, and a fixed estimate per row for columns and
//! index entries.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;

use super::codec;
use super::failure::readable;
use crate::routes::AppId;

/// Bytes charged for an event in addition to its body and headers. The migration to schema version
/// 4 repeats these three constants.
pub const EVENT_BYTES: i64 = 256;
/// Bytes charged for a delivery.
pub const DELIVERY_BYTES: i64 = 256;
/// Bytes charged for an attempt in addition to its error and the listener's response.
pub const ATTEMPT_BYTES: i64 = 128;

/// The digest of a namespace, see [`AppId::namespace`].
pub type NamespaceDigest = [u8; 16];

/// The bytes charged to an app, or a change of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppBytes {
    /// The key of the app's row.
    pub key: i64,
    /// The app.
    pub id: AppId,
    /// The bytes; never 0 in [`StoredBytes`].
    pub bytes: i64,
}

/// The bytes of all apps. Bounded by the number of apps with stored data.
#[derive(Debug, Default)]
pub struct StoredBytes {
    /// By the key of the app's row.
    apps: HashMap<i64, AppBytes>,
    namespaces: HashMap<NamespaceDigest, i64>,
    total: i64,
    /// Changes since the last commit.
    changes: Vec<AppBytes>,
}

impl StoredBytes {
    /// Reads the bytes of all apps.
    pub fn read(db: &Connection) -> rusqlite::Result<Self> {
        let mut stored = Self::default();
        let mut select = db.prepare("SELECT key, namespace, uuid, stored_bytes FROM app")?;
        let rows = select.query_map((), |row| {
            Ok(AppBytes { key: row.get(0)?, id: codec::app_id(row, 1, 2)?, bytes: row.get(3)? })
        })?;
        for app in rows.filter_map(readable) {
            stored.apply(app?);
        }
        Ok(stored)
    }

    /// The bytes of the app whose row has this key.
    pub fn of_app(&self, key: i64) -> i64 {
        self.apps.get(&key).map_or(0, |app| app.bytes)
    }

    /// The bytes of the apps of a namespace.
    pub fn of_namespace(&self, namespace: NamespaceDigest) -> i64 {
        self.namespaces.get(&namespace).copied().unwrap_or(0)
    }

    /// The bytes of all apps, and how many namespaces they belong to.
    pub fn total(&self) -> (i64, usize) {
        (self.total, self.namespaces.len())
    }

    /// The bytes of each app.
    pub fn all(&self) -> impl Iterator<Item = AppBytes> + '_ {
        self.apps.values().copied()
    }

    /// Adds `by` to the bytes of the app with this row key.
    pub fn change(&mut self, key: i64, id: AppId, by: i64) {
        let change = AppBytes { key, id, bytes: by };
        self.apply(change);
        self.changes.push(change);
    }

    /// Subtracts bytes of the app with this row key. Ignores an unknown app, whose row cannot be
    /// read.
    pub fn release(&mut self, key: i64, bytes: i64) {
        if let Some(AppBytes { id, .. }) = self.apps.get(&key) {
            self.change(key, *id, -bytes);
        }
    }

    /// Removes the app with this row key after its row was deleted.
    pub fn remove(&mut self, key: i64) {
        self.release(key, self.of_app(key));
    }

    /// Writes the changes since the last commit.
    pub fn save(&self, db: &Connection) -> rusqlite::Result<()> {
        let mut saved = HashSet::new();
        for AppBytes { key, .. } in &self.changes {
            if saved.insert(*key) {
                let sql = "UPDATE app SET stored_bytes = ?2 WHERE key = ?1";
                db.prepare_cached(sql)?.execute((key, self.of_app(*key)))?;
            }
        }
        Ok(())
    }

    /// Makes the changes permanent.
    pub fn commit(&mut self) {
        self.changes.clear();
    }

    /// Reverts the changes since the last commit.
    pub fn roll_back(&mut self) {
        for change in std::mem::take(&mut self.changes) {
            self.apply(AppBytes { bytes: -change.bytes, ..change });
        }
    }

    fn apply(&mut self, AppBytes { key, id, bytes }: AppBytes) {
        self.total += bytes;
        let app = self.apps.entry(key).or_insert(AppBytes { key, id, bytes: 0 });
        app.bytes += bytes;
        if app.bytes == 0 {
            self.apps.remove(&key);
        }
        let namespace = self.namespaces.entry(id.namespace()).or_default();
        *namespace += bytes;
        if *namespace == 0 {
            self.namespaces.remove(&id.namespace());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_rollback_reverts_the_changes_since_the_last_commit() {
        let mut stored = StoredBytes::default();
        let [one, two] = [1, 2].map(|uuid| AppId::new("team-a", Uuid::from_u128(uuid)));
        stored.change(1, one, 100);
        stored.commit();
        stored.change(2, two, 7);
        stored.change(1, one, -40);
        assert_eq!((stored.of_app(1), stored.of_namespace(one.namespace())), (60, 67));
        stored.roll_back();
        assert_eq!((stored.of_app(1), stored.of_app(2)), (100, 0));
        assert_eq!((stored.total(), stored.all().count()), ((100, 1), 1));
    }
}
