//! Events that are not to be stored: only whether they are duplicates is looked up.

use tokio_postgres::Row;
use uuid::Uuid;

use super::codec;
use super::failure::DatabaseFailure;
use super::link::{Link, StatementValues};
use crate::store::repetition::{DeliveryEnd, Repetition};
use crate::store::{Accepted, NewEvent};

/// The first events of duplicate keys within their windows, with their deliveries, by the place of
/// the key. Creates no rows of the webhooks.
pub const DUPLICATES: &str = "
SELECT n.place, d.event, o.state, o.reason
FROM unnest($1::uuid[], $2::bytea[], $3::uuid[], $4::bytea[], $5::bigint[], $6::bigint[])
  WITH ORDINALITY AS n (app, digest, webhook, hash, seen, duration, place)
  JOIN app a ON a.uuid = n.app AND a.digest = n.digest
  JOIN webhook w ON w.app = a.key AND w.uuid = n.webhook
  JOIN duplicate d ON d.webhook = w.key AND d.hash = n.hash
    AND d.until > n.seen AND d.since + n.duration > n.seen
  JOIN event e ON e.id = d.event
  CROSS JOIN LATERAL (
    SELECT state, reason FROM delivery WHERE id = e.id
    UNION ALL
    SELECT state, reason FROM delivery WHERE generation > 1 AND event = e.id
  ) o
ORDER BY n.place";

/// Says of each event whether it is a duplicate.
pub async fn look_up(
    link: &mut Link,
    events: &[&NewEvent],
) -> Result<Vec<Accepted>, DatabaseFailure> {
    let KeyColumns { apps, digests, webhooks, hashes, seen, durations } = &KeyColumns::of(events);
    let rows = link
        .transaction(async |link| {
            let keys: StatementValues<'_> = &[apps, digests, webhooks, hashes, seen, durations];
            link.query(DUPLICATES, keys).await
        })
        .await?;
    Ok(events.iter().enumerate().map(|(place, event)| answer(event, place, &rows)).collect())
}

fn answer(event: &NewEvent, place: usize, rows: &[Row]) -> Accepted {
    let is_of_place = |row: &&Row| usize::try_from(row.get::<_, i64>(0) - 1) == Ok(place);
    let rows: Vec<&Row> = rows.iter().filter(is_of_place).collect();
    let ends: Vec<DeliveryEnd> =
        rows.iter().filter_map(|row| codec::delivery_end(row, 2)).collect();
    match (rows.first(), event.duplicate) {
        (Some(first), Some(key)) if Repetition::of(&ends, key.repeats) == Repetition::Duplicate => {
            Accepted::Duplicate(first.get(1))
        }
        _ => Accepted::Refused,
    }
}

/// The keys as columns. An event without a key has one that no row has.
#[derive(Default)]
struct KeyColumns {
    apps: Vec<Uuid>,
    digests: Vec<Vec<u8>>,
    webhooks: Vec<Uuid>,
    hashes: Vec<Vec<u8>>,
    seen: Vec<i64>,
    durations: Vec<i64>,
}

impl KeyColumns {
    fn of(events: &[&NewEvent]) -> Self {
        let mut keys = Self::default();
        for event in events {
            let app = event.route.app.id;
            let hash = event.duplicate.map_or_else(Vec::new, |key| key.hash.to_vec());
            let until = event.duplicate.map_or(event.now, |key| event.now + key.window);
            keys.apps.push(app.uuid);
            keys.digests.push(app.namespace().to_vec());
            keys.webhooks.push(event.route.webhook);
            keys.hashes.push(hash);
            keys.seen.push(codec::millis(event.now));
            keys.durations.push(codec::millis(until) - codec::millis(event.now));
        }
        keys
    }
}
