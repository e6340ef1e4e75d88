//! Queries of the delivery history: lists, details and bodies.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::codec::{self, Number};
use super::failure::DatabaseFailure;
use super::link::Link;
use super::statements::{TALLIES, WEBHOOKS};
use super::webhooks;
use crate::store::{
    Attempted, DeadReason, DeliveryState, Detail, Filter, Form, SHOWN_BODY_BYTES, StoredWebhook,
    Summary, Tally, headers, ids,
};

/// The statements of this file that are prepared.
pub const STATEMENTS: &[&str] = &[WEBHOOKS, TALLIES, DETAIL, ATTEMPTS, CONTENT, BODY];

/// For fewer webhooks, a list queries the index of each one. For more, it scans the deliveries by
/// id.
const MANY_WEBHOOKS: usize = 64;

const COLUMNS: &str = "d.id, d.event, d.generation, d.webhook, d.state, d.reason, d.attempts,
    d.due, d.finished, d.last_status";

const DETAIL: &str = "SELECT d.id, d.event, d.generation, d.webhook, d.state, d.reason, d.attempts,
    d.due, d.finished, d.last_status FROM delivery d WHERE d.id = $1";

const ATTEMPTS: &str = "SELECT number, started, took, status, error, answer FROM attempt
    WHERE delivery = $1 ORDER BY number";

const CONTENT: &str = "SELECT content_type, headers, length(body), substr(body, 1, $2), form
    FROM event WHERE id = $1";

const BODY: &str = "SELECT body FROM event WHERE id = $1";

/// Lists deliveries, latest first.
pub async fn list(
    link: &Link,
    filter: &Filter,
    cursor: Option<Uuid>,
    limit: usize,
) -> Result<Vec<Summary>, DatabaseFailure> {
    let (mut cursor, mut list) = (cursor, Vec::new());
    // Fills up the page after unreadable rows, as clients take a short page for the last one.
    while list.len() < limit {
        let wanted = limit - list.len();
        let rows = find(link, filter, cursor, wanted).await?;
        let is_last = rows.len() < wanted;
        cursor = rows.last().map(|row| row.get(0));
        let keys = rows.iter().map(|row| row.get(3)).collect();
        let webhooks = webhooks_by_key(link, keys).await?;
        list.extend(rows.iter().filter_map(|row| summary(row, &webhooks)));
        if is_last {
            break;
        }
    }
    Ok(list)
}

/// Reads one delivery in full.
pub async fn show(link: &Link, id: Uuid) -> Result<Option<Detail>, DatabaseFailure> {
    let Some(row) = link.query_opt(DETAIL, &[&id]).await? else { return Ok(None) };
    let webhooks = webhooks_by_key(link, vec![row.get(3)]).await?;
    let Some(summary) = summary(&row, &webhooks) else { return Ok(None) };
    let shown = SHOWN_BODY_BYTES as i32;
    let Some(content) = link.query_opt(CONTENT, &[&summary.event, &shown]).await? else {
        return Ok(None);
    };
    let attempts = link.query(ATTEMPTS, &[&id]).await?;
    let content_type: Option<Vec<u8>> = content.get(0);
    // A form of a later version: shown as the converted body that it may be.
    let form = Form::from_number(content.get(4)).unwrap_or(Form::Converted);
    Ok(Some(Detail {
        attempts: attempts.iter().map(attempted).collect(),
        content_type: content_type.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        headers: headers::from_bytes(content.get(1)),
        form,
        body_bytes: content.get::<_, i32>(2).unsigned_abs().into(),
        body: Bytes::from(content.get::<_, Vec<u8>>(3)),
        summary,
    }))
}

/// Reads the body of an event.
pub async fn body(link: &Link, event: Uuid) -> Result<Option<Bytes>, DatabaseFailure> {
    let row = link.query_opt(BODY, &[&event]).await?;
    Ok(row.map(|row| Bytes::from(row.get::<_, Vec<u8>>(0))))
}

/// Examines at most `limit` matching deliveries, latest first. Returns the ids and generations of
/// those that have finished and are the latest of their events, and the id to continue before if
/// more deliveries may match.
pub async fn replayable(
    link: &Link,
    filter: &Filter,
    cursor: Option<Uuid>,
    limit: usize,
) -> Result<(Vec<(Uuid, u32)>, Option<Uuid>), DatabaseFailure> {
    let found = find(link, filter, cursor, limit).await?;
    let cursor = found.last().filter(|_| found.len() == limit).map(|row| row.get(0));
    let finished = found.iter().filter(|row| row.get::<_, i16>(4) > 1);
    let finished: Vec<(Uuid, Uuid, i32)> =
        finished.map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let events: Vec<Uuid> = finished.iter().map(|(_, event, _)| *event).collect();
    let sql = "SELECT event, max(generation) FROM delivery
        WHERE generation > 1 AND event = ANY($1) GROUP BY event";
    let later = link.client().query_typed(sql, &[(&events, Type::UUID_ARRAY)]).await?;
    let later: HashMap<Uuid, i32> = later.iter().map(|row| (row.get(0), row.get(1))).collect();
    let is_latest = |(_, event, generation): &(Uuid, Uuid, i32)| {
        later.get(event).is_none_or(|last| last <= generation)
    };
    let latest = finished.into_iter().filter(is_latest);
    let latest = latest.map(|(id, _, generation)| (id, u32::try_from(generation).unwrap_or(1)));
    Ok((latest.collect(), cursor))
}

/// The delivery counts of each webhook.
pub async fn tallies(link: &Link) -> Result<Vec<(Arc<StoredWebhook>, Tally)>, DatabaseFailure> {
    let rows = link.query(TALLIES, &[]).await?;
    let mut tallies = Vec::with_capacity(rows.len());
    for rows in rows.chunks(1000) {
        let webhooks = webhooks_by_key(link, rows.iter().map(|row| row.get(0)).collect()).await?;
        let count = |row: &Row, index| u64::try_from(row.get::<_, i64>(index)).unwrap_or(0);
        tallies.extend(rows.iter().filter_map(|row| {
            let tally = Tally {
                succeeded: count(row, 1),
                dead: count(row, 2),
                pending: count(row, 3),
                last: codec::optional_moment(row, 4),
            };
            Some((webhooks.get(&row.get(0))?.clone(), tally))
        }));
    }
    Ok(tallies)
}

async fn webhooks_by_key(
    link: &Link,
    mut keys: Vec<i64>,
) -> Result<HashMap<i64, Arc<StoredWebhook>>, DatabaseFailure> {
    keys.sort_unstable();
    keys.dedup();
    Ok(webhooks::read(link, &keys).await?.map(|(key, _, stored)| (key, stored)).collect())
}

/// Decodes a row of [`COLUMNS`]; `None` if it is unreadable.
fn summary(row: &Row, webhooks: &HashMap<i64, Arc<StoredWebhook>>) -> Option<Summary> {
    let state = DeliveryState::from_number(row.get(4))?;
    let due = codec::moment(row.get(7));
    Some(Summary {
        id: row.get(0),
        event: row.get(1),
        generation: u32::try_from(row.get::<_, i32>(2)).ok()?,
        webhook: webhooks.get(&row.get(3))?.clone(),
        state,
        reason: row.get::<_, Option<i16>>(5).and_then(DeadReason::from_number),
        attempts: u32::try_from(row.get::<_, i32>(6)).ok()?,
        due: (state == DeliveryState::Pending).then_some(due),
        finished: codec::optional_moment(row, 8),
        last_status: status(row, 9),
    })
}

fn attempted(row: &Row) -> Attempted {
    Attempted {
        number: u32::try_from(row.get::<_, i32>(0)).unwrap_or(0),
        started: codec::moment(row.get(1)),
        took: Duration::from_micros(row.get::<_, i64>(2).unsigned_abs()),
        status: status(row, 3),
        error: row.get::<_, Option<&str>>(4).map(Into::into),
        answer: row.get::<_, Option<Vec<u8>>>(5).unwrap_or_default().into(),
    }
}

fn status(row: &Row, index: usize) -> Option<u16> {
    row.get::<_, Option<i32>>(index).and_then(|status| u16::try_from(status).ok())
}

/// Finds matching deliveries, latest first.
async fn find(
    link: &Link,
    filter: &Filter,
    cursor: Option<Uuid>,
    limit: usize,
) -> Result<Vec<Row>, DatabaseFailure> {
    let mut query = Query::of(filter, cursor, limit);
    if filter.namespace.is_none() && filter.webhook.is_none() {
        return query.run(link, "delivery d", "").await;
    }
    let webhooks = webhooks_of(link, filter).await?;
    let few = webhooks.len() <= MANY_WEBHOOKS;
    query.bind(webhooks, Type::INT8_ARRAY);
    if few {
        query.run_for_each(link).await
    } else {
        let which = format!("AND d.webhook = ANY(${})", query.values.len());
        query.run(link, "delivery d", &which).await
    }
}

/// The keys of the matching webhooks.
async fn webhooks_of(link: &Link, filter: &Filter) -> Result<Vec<i64>, DatabaseFailure> {
    let sql = "SELECT key FROM webhook
        WHERE ($1::text IS NULL OR namespace = $1) AND ($2::text IS NULL OR name = $2)";
    let values: [(&(dyn ToSql + Sync), Type); 2] =
        [(&filter.namespace, Type::TEXT), (&filter.webhook, Type::TEXT)];
    let rows = link.client().query_typed(sql, &values).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// A query of deliveries. It is planned for its own values.
struct Query {
    conditions: String,
    values: Vec<(Box<dyn ToSql + Sync>, Type)>,
}

impl Query {
    fn of(filter: &Filter, cursor: Option<Uuid>, limit: usize) -> Self {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut query = Self { conditions: "true".into(), values: Vec::new() };
        query.bind(limit, Type::INT8);
        let first = |moment| ids::from_parts(ids::first_key(moment), 0);
        let bounds = [
            ("d.id < ", cursor),
            ("d.id >= ", filter.since.map(first)),
            ("d.id < ", filter.until.map(first)),
        ];
        for (condition, id) in bounds {
            let Some(id) = id else { continue };
            query.bind(id, Type::UUID);
            // Cannot fail: a string grows.
            let _ = write!(query.conditions, " AND {condition}${}", query.values.len());
        }
        match filter.state {
            Some(DeliveryState::Pending) => query.conditions += " AND d.state < 2",
            Some(state) => {
                let _ = write!(query.conditions, " AND d.state = {}", state.to_number());
            }
            None => {}
        }
        query
    }

    fn bind(&mut self, value: impl ToSql + Sync + 'static, kind: Type) {
        self.values.push((Box::new(value), kind));
    }

    async fn run(&self, link: &Link, from: &str, which: &str) -> Result<Vec<Row>, DatabaseFailure> {
        let sql = format!(
            "SELECT {COLUMNS} FROM {from} WHERE {} {which} ORDER BY d.id DESC LIMIT $1",
            self.conditions
        );
        let values: Vec<(&(dyn ToSql + Sync), Type)> =
            self.values.iter().map(|(value, kind)| (&**value, kind.clone())).collect();
        Ok(link.client().query_typed(&sql, &values).await?)
    }

    /// Reads the latest of each webhook from the index, and merges them. The keys are the last
    /// value.
    async fn run_for_each(&self, link: &Link) -> Result<Vec<Row>, DatabaseFailure> {
        let from = format!(
            "unnest(${}) AS k (webhook) CROSS JOIN LATERAL (
               SELECT * FROM delivery d WHERE d.webhook = k.webhook AND {}
               ORDER BY d.id DESC LIMIT $1
             ) d",
            self.values.len(),
            self.conditions
        );
        self.run(link, &from, "").await
    }
}
