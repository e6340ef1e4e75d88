//! Queries of the delivery history: lists, details and bodies.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};
use uuid::Uuid;

use super::codec::state;
use super::failure::readable;
use super::{codec, webhooks};
use crate::moment::Moment;
use crate::store::{
    Attempted, DeliveryState, Detail, Filter, SHOWN_BODY_BYTES, StoredWebhook, Summary, headers,
    ids,
};

/// For fewer webhooks, a list queries the index of each one. For more, it scans the deliveries by
/// key.
const MANY_WEBHOOKS: usize = 64;

const COLUMNS: &str = "d.key, d.tail, d.event, e.tail, d.generation, d.webhook, d.state, d.reason,
    d.attempts, d.due, d.finished, d.last_status";

/// Lists deliveries, latest first.
pub fn list(
    db: &Connection,
    filter: &Filter,
    cursor: Option<Uuid>,
    limit: usize,
) -> rusqlite::Result<Vec<Summary>> {
    let (mut known, mut cursor, mut list) = (HashMap::new(), cursor, Vec::new());
    // Fills up the page after unreadable rows, as clients take a short page for the last one.
    while list.len() < limit {
        let wanted = limit - list.len();
        let rows = find(db, filter, cursor, wanted)?;
        let is_last = rows.len() < wanted;
        cursor = rows.last().map(|(_, row)| row.id);
        for (webhook, row) in rows {
            list.extend(readable(summary(db, &mut known, webhook, row)).transpose()?);
        }
        if is_last {
            break;
        }
    }
    Ok(list)
}

/// Reads one delivery in full.
pub fn show(db: &Connection, id: Uuid) -> rusqlite::Result<Option<Detail>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM delivery d JOIN event e ON e.key = d.event
         WHERE d.key = ?1 AND d.tail = ?2"
    );
    let values = (codec::key(id), codec::tail(id));
    let Some((webhook, row)) =
        db.prepare_cached(&sql)?.query_row(values, delivery_row).optional()?
    else {
        return Ok(None);
    };
    let summary = summary(db, &mut HashMap::new(), webhook, row)?;
    let attempts = attempts(db, codec::key(id))?;
    let sql = "SELECT content_type, headers, length(body), substr(body, 1, ?2), form
        FROM event WHERE key = ?1";
    let values = (codec::key(summary.event), SHOWN_BODY_BYTES as i64);
    let detail = db.prepare_cached(sql)?.query_row(values, |row| {
        let content_type: Option<Vec<u8>> = row.get(0)?;
        Ok(Detail {
            attempts,
            content_type: content_type.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            headers: headers::from_bytes(row.get_ref(1)?.as_blob()?),
            body_bytes: row.get::<_, i64>(2)?.unsigned_abs(),
            body: row.get::<_, Vec<u8>>(3)?.into(),
            form: row.get(4)?,
            summary,
        })
    })?;
    Ok(Some(detail))
}

/// Reads the body of an event.
pub fn body(db: &Connection, event: Uuid) -> rusqlite::Result<Option<Bytes>> {
    let mut select = db.prepare_cached("SELECT body FROM event WHERE key = ?1 AND tail = ?2")?;
    let body = select.query_row((codec::key(event), codec::tail(event)), |row| {
        row.get::<_, Vec<u8>>(0).map(Bytes::from)
    });
    body.optional()
}

/// Examines at most `limit` matching deliveries, latest first. Returns the ids of those that have
/// finished and are the latest of their events, and the id to continue before if more deliveries
/// may match.
pub fn replayable(
    db: &Connection,
    filter: &Filter,
    cursor: Option<Uuid>,
    limit: usize,
) -> rusqlite::Result<(Vec<Uuid>, Option<Uuid>)> {
    let found = find(db, filter, cursor, limit)?;
    let cursor = found.last().filter(|_| found.len() == limit).map(|(_, row)| row.id);
    let later = "SELECT EXISTS (SELECT 1 FROM delivery
        WHERE generation > 1 AND event = ?1 AND generation > ?2)";
    let mut later = db.prepare_cached(later)?;
    let mut replayable = Vec::new();
    for (_, row) in found {
        let has_finished = matches!(row.state, DeliveryState::Succeeded | DeliveryState::Dead);
        let values = (codec::key(row.event), row.generation);
        if has_finished && !later.query_row(values, |row| row.get::<_, bool>(0))? {
            replayable.push(row.id);
        }
    }
    Ok((replayable, cursor))
}

/// The columns of a delivery, without its webhook.
struct DeliveryRow {
    id: Uuid,
    event: Uuid,
    generation: u32,
    state: DeliveryState,
    reason: Option<crate::store::DeadReason>,
    attempts: u32,
    due: Moment,
    finished: Option<Moment>,
    last_status: Option<u16>,
}

/// Decodes a row of [`COLUMNS`]; also returns the key of its webhook.
fn delivery_row(row: &Row<'_>) -> rusqlite::Result<(i64, DeliveryRow)> {
    let delivery = DeliveryRow {
        id: codec::id(row.get(0)?, row.get(1)?),
        event: codec::id(row.get(2)?, row.get(3)?),
        generation: row.get(4)?,
        state: row.get(6)?,
        reason: row.get(7)?,
        attempts: row.get(8)?,
        due: row.get(9)?,
        finished: row.get(10)?,
        last_status: row.get(11)?,
    };
    Ok((row.get(5)?, delivery))
}

fn summary(
    db: &Connection,
    known: &mut HashMap<i64, Arc<StoredWebhook>>,
    webhook: i64,
    row: DeliveryRow,
) -> rusqlite::Result<Summary> {
    let webhook = match known.get(&webhook) {
        Some(known) => known.clone(),
        None => {
            let read = Arc::new(webhooks::read(db, webhook)?);
            known.insert(webhook, read.clone());
            read
        }
    };
    let DeliveryRow { id, event, generation, state, reason, attempts, due, finished, last_status } =
        row;
    let due = (state == DeliveryState::Pending).then_some(due);
    Ok(Summary {
        id,
        event,
        generation,
        webhook,
        state,
        reason,
        attempts,
        due,
        finished,
        last_status,
    })
}

fn attempts(db: &Connection, delivery: i64) -> rusqlite::Result<Vec<Attempted>> {
    let sql = "SELECT number, started, took, status, error, answer FROM attempt
        WHERE delivery = ?1 ORDER BY number";
    let mut select = db.prepare_cached(sql)?;
    let rows = select.query_map((delivery,), |row| {
        Ok(Attempted {
            number: row.get(0)?,
            started: row.get(1)?,
            took: Duration::from_micros(row.get::<_, i64>(2)?.unsigned_abs()),
            status: row.get(3)?,
            error: row.get(4)?,
            answer: row.get::<_, Option<Vec<u8>>>(5)?.unwrap_or_default().into(),
        })
    })?;
    rows.collect()
}

/// Finds matching deliveries, with the keys of their webhooks, latest first.
fn find(
    db: &Connection,
    filter: &Filter,
    cursor: Option<Uuid>,
    limit: usize,
) -> rusqlite::Result<Vec<(i64, DeliveryRow)>> {
    let Some(webhooks) = webhooks_of(db, filter)? else {
        return select(db, filter, cursor, limit, None, &[]);
    };
    if webhooks.len() > MANY_WEBHOOKS {
        let which = "d.webhook IN (SELECT key FROM webhook WHERE namespace = ?)";
        let namespace = filter.namespace.clone().unwrap_or_default();
        return select(db, filter, cursor, limit, Some(which), &[Value::Text(namespace)]);
    }
    // Reads the latest of each webhook from the index, and merges them.
    let mut found = Vec::new();
    for webhook in webhooks {
        let which = Some("d.webhook = ?");
        found.extend(select(db, filter, cursor, limit, which, &[Value::Integer(webhook)])?);
    }
    found.sort_by_key(|(_, row)| std::cmp::Reverse(row.id));
    found.truncate(limit);
    Ok(found)
}

/// The keys of the matching webhooks; `None` if the filter does not restrict them.
fn webhooks_of(db: &Connection, filter: &Filter) -> rusqlite::Result<Option<Vec<i64>>> {
    if filter.namespace.is_none() && filter.webhook.is_none() {
        return Ok(None);
    }
    let sql = "SELECT key FROM webhook
        WHERE (?1 IS NULL OR namespace = ?1) AND (?2 IS NULL OR name = ?2)";
    let mut select = db.prepare_cached(sql)?;
    let keys = select.query_map((&filter.namespace, &filter.webhook), |row| row.get(0))?;
    keys.collect::<rusqlite::Result<_>>().map(Some)
}

fn select(
    db: &Connection,
    filter: &Filter,
    cursor: Option<Uuid>,
    limit: usize,
    which: Option<&str>,
    of: &[Value],
) -> rusqlite::Result<Vec<(i64, DeliveryRow)>> {
    let mut conditions: Vec<&str> = which.into_iter().collect();
    let mut values = of.to_vec();
    let mut bound = |condition, bounds: &[u64]| {
        conditions.push(condition);
        let bounds = bounds.iter().map(|bound| i64::try_from(*bound).unwrap_or(i64::MAX));
        values.extend(bounds.map(Value::Integer));
    };
    if let Some(cursor) = cursor {
        // The cursor may be an id of another replica. Ids of different replicas can have the same
        // key, and differ in the tail only.
        let key = ids::key(cursor);
        bound("d.key <= ? AND (d.key < ? OR d.tail < ?)", &[key, key, ids::tail(cursor)]);
    }
    if let Some(since) = filter.since {
        bound("d.key >= ?", &[ids::first_key(since)]);
    }
    if let Some(until) = filter.until {
        bound("d.key < ?", &[ids::first_key(until)]);
    }
    match filter.state {
        Some(DeliveryState::Pending) => {
            let undelivered = concat!("d.state IN (", state!(Pending), ", ", state!(Waiting), ")");
            conditions.push(undelivered);
        }
        Some(DeliveryState::Waiting) => conditions.push(concat!("d.state = ", state!(Waiting))),
        Some(DeliveryState::Succeeded) => conditions.push(concat!("d.state = ", state!(Succeeded))),
        Some(DeliveryState::Dead) => conditions.push(concat!("d.state = ", state!(Dead))),
        None => {}
    }
    let conditions = if conditions.is_empty() { "1".into() } else { conditions.join(" AND ") };
    let sql = format!(
        "SELECT {COLUMNS} FROM delivery d JOIN event e ON e.key = d.event
         WHERE {conditions} ORDER BY d.key DESC"
    );
    let mut select = db.prepare_cached(&sql)?;
    let rows = select.query_map(params_from_iter(values), delivery_row)?;
    rows.filter_map(readable).take(limit).collect()
}
