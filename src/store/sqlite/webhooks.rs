//! Rows of webhooks and apps, with a cache by id and by row key.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

use crate::routes::{AppId, Route};
use crate::store::StoredWebhook;

/// Row keys of a webhook and its app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowKeys {
    /// Key of the webhook's row.
    pub webhook: i64,
    /// Key of the app's row.
    pub app: i64,
}

/// Cache of webhook and app rows. Bounded by the number of webhooks with stored events.
#[derive(Debug, Default)]
pub struct WebhookCache {
    /// The references are weak, as a route contains keys from Secrets, which must not be kept after
    /// the route was replaced.
    by_id: HashMap<(AppId, Uuid), (RowKeys, Weak<Route>)>,
    by_key: HashMap<i64, Arc<StoredWebhook>>,
    apps: HashMap<AppId, i64>,
}

impl WebhookCache {
    /// The row keys of a route's webhook. Inserts or updates the row if it is missing or differs.
    pub fn keys(&mut self, db: &Connection, route: &Arc<Route>) -> rusqlite::Result<RowKeys> {
        let id = (route.app.id, route.webhook);
        if let Some((keys, known)) = self.by_id.get(&id)
            && std::ptr::eq(known.as_ptr(), Arc::as_ptr(route))
        {
            return Ok(*keys);
        }
        let app = self.insert_app(db, route.app.id, &route.app.namespace)?;
        let stored = StoredWebhook::of(route);
        let known = find(db, app, id.1)?;
        let webhook = match known {
            Some((key, ref known)) if *known == stored => key,
            Some((key, _)) => update(db, key, &stored).map(|()| key)?,
            None => insert(db, app, &stored)?,
        };
        let keys = RowKeys { webhook, app };
        self.by_id.insert(id, (keys, Arc::downgrade(route)));
        self.by_key.insert(webhook, Arc::new(stored));
        Ok(keys)
    }

    /// The webhook with this row key.
    pub fn get(&mut self, db: &Connection, key: i64) -> rusqlite::Result<Arc<StoredWebhook>> {
        if let Some(known) = self.by_key.get(&key) {
            return Ok(known.clone());
        }
        let stored = Arc::new(read(db, key)?);
        self.by_key.insert(key, stored.clone());
        Ok(stored)
    }

    /// The row key of an app; `None` if no event of it is stored.
    pub fn app(&mut self, db: &Connection, app: AppId) -> rusqlite::Result<Option<i64>> {
        if let Some(key) = self.apps.get(&app) {
            return Ok(Some(*key));
        }
        let mut select = db.prepare_cached("SELECT key, namespace FROM app WHERE uuid = ?1")?;
        let mut rows = select.query((app.uuid.as_bytes(),))?;
        while let Some(row) = rows.next()? {
            if AppId::new(row.get_ref(1)?.as_str()?, app.uuid) == app {
                let key = row.get(0)?;
                self.apps.insert(app, key);
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// Removes a webhook after its row was deleted.
    pub fn remove(&mut self, key: i64) {
        if let Some(stored) = self.by_key.remove(&key) {
            self.by_id.remove(&(stored.app, stored.uuid));
        }
    }

    /// Removes an app after its row was deleted.
    pub fn remove_app(&mut self, key: i64) {
        self.apps.retain(|_, known| *known != key);
    }

    /// Removes all entries. Called after a rollback, as cached rows may not have been committed.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn insert_app(
        &mut self,
        db: &Connection,
        app: AppId,
        namespace: &str,
    ) -> rusqlite::Result<i64> {
        if let Some(key) = self.app(db, app)? {
            return Ok(key);
        }
        let sql = "INSERT INTO app (namespace, uuid) VALUES (?1, ?2)";
        db.prepare_cached(sql)?.execute((namespace, app.uuid.as_bytes()))?;
        let key = db.last_insert_rowid();
        self.apps.insert(app, key);
        Ok(key)
    }
}

fn find(db: &Connection, app: i64, uuid: Uuid) -> rusqlite::Result<Option<(i64, StoredWebhook)>> {
    let mut select = db.prepare_cached("SELECT key FROM webhook WHERE app = ?1 AND uuid = ?2")?;
    let key = select.query_row((app, uuid.as_bytes()), |row| row.get(0)).optional()?;
    key.map(|key| Ok((key, read(db, key)?))).transpose()
}

/// Reads the webhook with this row key.
pub fn read(db: &Connection, key: i64) -> rusqlite::Result<StoredWebhook> {
    let sql = "SELECT a.uuid, w.uuid, a.namespace, app_name, name, action, props, ordering, retry
        FROM webhook w JOIN app a ON a.key = w.app WHERE w.key = ?1";
    db.prepare_cached(sql)?.query_row((key,), stored)
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredWebhook> {
    let uuid = |index| row.get::<_, [u8; 16]>(index).map(Uuid::from_bytes);
    let retry: Option<String> = row.get(8)?;
    let namespace: Arc<str> = row.get(2)?;
    Ok(StoredWebhook {
        app: AppId::new(&namespace, uuid(0)?),
        uuid: uuid(1)?,
        namespace,
        app_name: row.get(3)?,
        name: row.get(4)?,
        action: row.get(5)?,
        props: Bytes::from(row.get::<_, Vec<u8>>(6)?),
        ordering: row.get(7)?,
        retry: retry.and_then(|text| serde_json::from_str(&text).ok()),
    })
}

fn insert(db: &Connection, app: i64, webhook: &StoredWebhook) -> rusqlite::Result<i64> {
    let sql =
        "INSERT INTO webhook (app, uuid, namespace, app_name, name, action, props, ordering, retry)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let StoredWebhook { app: _, uuid, namespace, app_name, name, action, props, ordering, .. } =
        webhook;
    db.prepare_cached(sql)?.execute((
        app,
        uuid.as_bytes(),
        namespace,
        app_name,
        name,
        action,
        &props[..],
        ordering,
        retry_text(webhook),
    ))?;
    Ok(db.last_insert_rowid())
}

fn update(db: &Connection, key: i64, webhook: &StoredWebhook) -> rusqlite::Result<()> {
    let sql = "UPDATE webhook SET app_name = ?2, name = ?3, action = ?4, props = ?5,
        ordering = ?6, retry = ?7 WHERE key = ?1";
    let StoredWebhook { app_name, name, action, props, ordering, .. } = webhook;
    let retry = retry_text(webhook);
    db.prepare_cached(sql)?.execute((key, app_name, name, action, &props[..], ordering, retry))?;
    Ok(())
}

fn retry_text(webhook: &StoredWebhook) -> Option<String> {
    // Cannot fail: a policy contains only durations and finite numbers.
    webhook.retry.as_ref().and_then(|policy| serde_json::to_string(&**policy).ok())
}
