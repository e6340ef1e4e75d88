//! Rows of webhooks, with caches. Other replicas change the rows, so a cache is never relied on
//! alone: a key is locked before it is used, and a snapshot is compared by its version.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use tokio_postgres::Row;
use uuid::Uuid;

use super::codec::{self, Number};
use super::failure::DatabaseFailure;
use super::link::Link;
use super::statements::{UPSERT_WEBHOOK, WEBHOOKS};
use crate::resources::Ordering;
use crate::routes::{AppId, Route};
use crate::store::StoredWebhook;

/// The row of a webhook, as an accepted event needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebhookRow {
    /// The key of the row.
    pub key: i64,
    /// Whether deliveries of the webhook may be waiting.
    pub is_ordered: bool,
}

/// Entries of a cache above which it is emptied. It fills up again with the webhooks in use.
const CACHE_ENTRIES: usize = 100_000;

/// The rows of the webhooks that were triggered.
#[derive(Debug, Default)]
pub struct RowCache {
    rows: RefCell<HashMap<(AppId, Uuid), KnownRow>>,
}

/// A row, and the route that it was last written for. The reference is weak, as a route contains
/// keys from Secrets, which must not be kept after the route was replaced.
type KnownRow = (WebhookRow, Weak<Route>);

impl RowCache {
    /// The row of a route's webhook. Inserts or updates it if it is not known to be up to date.
    pub async fn row(
        &self,
        link: &Link,
        route: &Arc<Route>,
    ) -> Result<WebhookRow, DatabaseFailure> {
        let id = (route.app.id, route.webhook);
        if let Some((row, known)) = self.rows.borrow().get(&id)
            && std::ptr::eq(known.as_ptr(), Arc::as_ptr(route))
        {
            return Ok(*row);
        }
        let row = upsert(link, route).await?;
        let mut rows = self.rows.borrow_mut();
        if rows.len() >= CACHE_ENTRIES {
            rows.clear();
        }
        rows.insert(id, (row, Arc::downgrade(route)));
        Ok(row)
    }

    /// Forgets the row of a webhook that has none.
    pub fn forget(&self, route: &Route) {
        self.rows.borrow_mut().remove(&(route.app.id, route.webhook));
    }
}

async fn upsert(link: &Link, route: &Route) -> Result<WebhookRow, DatabaseFailure> {
    let stored = StoredWebhook::of(route);
    // Cannot fail: a policy contains only durations and finite numbers.
    let retry = stored.retry.as_ref().and_then(|policy| serde_json::to_string(&**policy).ok());
    let digest = stored.app.namespace();
    let row = link
        .query_opt(
            UPSERT_WEBHOOK,
            &[
                &stored.app.uuid,
                &&digest[..],
                &&*stored.namespace,
                &stored.uuid,
                &&*stored.app_name,
                &&*stored.name,
                &stored.action.as_bytes(),
                &&stored.props[..],
                &stored.ordering.to_number(),
                &retry,
            ],
        )
        .await?;
    let row = row.ok_or_else(|| DatabaseFailure::unavailable("a webhook was not stored"))?;
    Ok(WebhookRow { key: row.get(0), is_ordered: row.get(1) })
}

/// The snapshots of webhooks that were read.
#[derive(Debug, Default)]
pub struct SnapshotCache {
    by_key: HashMap<i64, (i64, Arc<StoredWebhook>)>,
}

impl SnapshotCache {
    /// Snapshots of webhooks by key, at least as late as these versions. Without those that do not
    /// exist.
    pub async fn read(
        &mut self,
        link: &Link,
        wanted: &HashMap<i64, i64>,
    ) -> Result<HashMap<i64, Arc<StoredWebhook>>, DatabaseFailure> {
        let is_known = |key: &i64, version: &i64| {
            self.by_key.get(key).is_some_and(|(known, _)| known >= version)
        };
        let missing = wanted.iter().filter(|(key, version)| !is_known(key, version));
        let missing: Vec<i64> = missing.map(|(key, _)| *key).collect();
        if self.by_key.len() + missing.len() >= CACHE_ENTRIES {
            self.by_key.clear();
            return Ok(read(link, &wanted.keys().copied().collect::<Vec<_>>())
                .await?
                .map(|(key, _, stored)| (key, stored))
                .collect());
        }
        if !missing.is_empty() {
            for (key, version, stored) in read(link, &missing).await? {
                self.by_key.insert(key, (version, stored));
            }
        }
        let known = |key: &i64| Some((*key, self.by_key.get(key)?.1.clone()));
        Ok(wanted.keys().filter_map(known).collect())
    }
}

/// Reads webhooks by their keys.
pub async fn read(
    link: &Link,
    keys: &[i64],
) -> Result<impl Iterator<Item = (i64, i64, Arc<StoredWebhook>)>, DatabaseFailure> {
    let rows = link.query(WEBHOOKS, &[&keys]).await?;
    Ok(rows.into_iter().filter_map(|row| Some((row.get(0), row.get(1), Arc::new(stored(&row)?)))))
}

fn stored(row: &Row) -> Option<StoredWebhook> {
    let retry: Option<&str> = row.get(11);
    Some(StoredWebhook {
        app: codec::app_id(row, 2, 3),
        uuid: row.get(4),
        namespace: row.get::<_, &str>(5).into(),
        app_name: row.get::<_, &str>(6).into(),
        name: row.get::<_, &str>(7).into(),
        action: std::str::from_utf8(row.get(8)).ok()?.into(),
        props: Bytes::from(row.get::<_, Vec<u8>>(9)),
        ordering: Ordering::from_number(row.get(10))?,
        retry: retry.and_then(|text| serde_json::from_str(text).ok()),
    })
}
