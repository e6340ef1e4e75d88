//! What each app takes of the store: in memory, saved with the transaction that changes it, and taken back with it.
//!
//! An app is charged for what its rows hold and for about what a row and its index entries take beside that.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;

use super::codec;
use super::failure::readable;
use crate::routes::AppId;

/// Of an event, beside its body and headers. The migration to version 4 of the schema has these three numbers too.
pub const EVENT_BYTES: i64 = 256;
/// Of a delivery.
pub const DELIVERY_BYTES: i64 = 256;
/// Of an attempt, beside its error and the answer of the listener.
pub const ATTEMPT_BYTES: i64 = 128;

/// The digest of a namespace, see [`AppId::namespace`].
pub type Namespace = [u8; 16];

/// What one app takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The key of its row.
    pub key: i64,
    /// The app.
    pub app: AppId,
    /// In bytes; never 0.
    pub bytes: i64,
}

/// What all apps take. Bounded by the apps that have something stored.
#[derive(Debug, Default)]
pub struct StoredBytes {
    /// By the key of the app's row.
    apps: HashMap<i64, Holding>,
    namespaces: HashMap<Namespace, i64>,
    total: i64,
    /// Since the last commit.
    changes: Vec<Holding>,
}

impl StoredBytes {
    /// Reads what a file has.
    pub fn read(db: &Connection) -> rusqlite::Result<Self> {
        let mut stored = Self::default();
        let mut select = db.prepare("SELECT key, namespace, uuid, stored_bytes FROM app")?;
        let rows = select.query_map((), |row| {
            Ok(Holding { key: row.get(0)?, app: codec::app_id(row, 1, 2)?, bytes: row.get(3)? })
        })?;
        for holding in rows.filter_map(readable) {
            stored.apply(holding?);
        }
        Ok(stored)
    }

    /// The bytes of the app whose row has this key.
    pub fn of_app(&self, key: i64) -> i64 {
        self.apps.get(&key).map_or(0, |holding| holding.bytes)
    }

    /// The bytes of the apps of a namespace.
    pub fn of_namespace(&self, namespace: Namespace) -> i64 {
        self.namespaces.get(&namespace).copied().unwrap_or(0)
    }

    /// The bytes of all apps, and how many namespaces they belong to.
    pub fn total(&self) -> (i64, usize) {
        (self.total, self.namespaces.len())
    }

    /// What each app takes.
    pub fn all(&self) -> impl Iterator<Item = Holding> + '_ {
        self.apps.values().copied()
    }

    /// An app, whose row has this key, takes so many bytes more, or less.
    pub fn change(&mut self, key: i64, app: AppId, by: i64) {
        let change = Holding { key, app, bytes: by };
        self.apply(change);
        self.changes.push(change);
    }

    /// The app of a key takes so many bytes less. One that is not known, as its row cannot be read, takes nothing.
    pub fn release(&mut self, key: i64, bytes: i64) {
        if let Some(Holding { app, .. }) = self.apps.get(&key) {
            self.change(key, *app, -bytes);
        }
    }

    /// The row of this key was deleted: its app takes nothing.
    pub fn remove(&mut self, key: i64) {
        self.release(key, self.of_app(key));
    }

    /// Writes what was changed since the last commit.
    pub fn save(&self, db: &Connection) -> rusqlite::Result<()> {
        let mut saved = HashSet::new();
        for Holding { key, .. } in &self.changes {
            if saved.insert(*key) {
                let sql = "UPDATE app SET stored_bytes = ?2 WHERE key = ?1";
                db.prepare_cached(sql)?.execute((key, self.of_app(*key)))?;
            }
        }
        Ok(())
    }

    /// What was changed stays.
    pub fn commit(&mut self) {
        self.changes.clear();
    }

    /// Takes back what was changed since the last commit.
    pub fn roll_back(&mut self) {
        for change in std::mem::take(&mut self.changes) {
            self.apply(Holding { bytes: -change.bytes, ..change });
        }
    }

    fn apply(&mut self, Holding { key, app, bytes }: Holding) {
        self.total += bytes;
        let holding = self.apps.entry(key).or_insert(Holding { key, app, bytes: 0 });
        holding.bytes += bytes;
        if holding.bytes == 0 {
            self.apps.remove(&key);
        }
        let namespace = self.namespaces.entry(app.namespace()).or_default();
        *namespace += bytes;
        if *namespace == 0 {
            self.namespaces.remove(&app.namespace());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn what_a_transaction_changed_is_taken_back_with_it() {
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
