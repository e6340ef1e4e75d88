//! New deliveries, of new events and of stored ones, within a transaction.

use std::collections::BTreeMap;

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::codec;
use super::failure::DatabaseFailure;
use super::link::{Link, PipelineStep};
use super::statements::{COMMIT, COUNT, INSERT_DELIVERIES, INSERT_EVENTS, PROMOTE};
use crate::moment::Moment;
use crate::routes::AppId;
use crate::store::PROMOTE_BATCH;

/// Bytes charged for an event in addition to its body and headers. `statements.rs` repeats these
/// numbers.
pub const EVENT_BYTES: i64 = 256;
/// Bytes charged for a delivery.
pub const DELIVERY_BYTES: i64 = 256;

/// A delivery to be created.
#[derive(Clone, Copy, Debug)]
pub struct DeliveryInsert {
    /// Its id.
    pub id: Uuid,
    /// The id of its event.
    pub event: Uuid,
    /// 1 for the first delivery of the event.
    pub generation: u32,
    /// The app.
    pub app: AppId,
    /// The key of the webhook's row.
    pub webhook: i64,
    /// Whether it waits for earlier deliveries.
    pub is_fifo: bool,
    /// Whether earlier deliveries of the webhook may be waiting. If it is not `Fifo` any more, they
    /// become pending.
    pub is_ordered: bool,
    /// Bytes of its event, if that is stored with it.
    pub event_bytes: i64,
    /// When it is due.
    pub now: Moment,
}

/// Events to be stored.
#[derive(Debug, Default)]
pub struct NewEvents<'a> {
    /// The columns.
    pub ids: Vec<Uuid>,
    /// Keys of webhooks.
    pub webhooks: Vec<i64>,
    /// Numbers of forms.
    pub forms: Vec<i16>,
    /// Content types.
    pub content_types: Vec<Option<&'a [u8]>>,
    /// Encoded headers.
    pub headers: Vec<Vec<u8>>,
    /// Bodies.
    pub bodies: Vec<&'a [u8]>,
}

/// Stores events and creates deliveries, and commits. Returns the apps with deliveries that became
/// pending. The webhooks are locked.
pub async fn create_and_commit(
    link: &Link,
    slot: i16,
    events: &NewEvents<'_>,
    deliveries: &[DeliveryInsert],
) -> Result<Vec<(AppId, Moment)>, DatabaseFailure> {
    let NewEvents { ids, webhooks, forms, content_types, headers, bodies } = events;
    let promoted = promoted(deliveries);
    let [promoted_keys, promoted_due] = &promoted;
    let most = PROMOTE_BATCH as i64;
    let columns = DeliveryColumns::of(deliveries);
    let DeliveryColumns { ids: delivery_ids, events, generations, webhooks: of, is_fifo, due } =
        &columns;
    let counts = TallyChanges::of(deliveries);
    let mut steps: Vec<PipelineStep<'_>> = Vec::with_capacity(5);
    let event_values: [&(dyn ToSql + Sync); 6] =
        [ids, webhooks, forms, content_types, headers, bodies];
    if !ids.is_empty() {
        steps.push((INSERT_EVENTS, &event_values));
    }
    let promote_values: [&(dyn ToSql + Sync); 3] = [promoted_keys, promoted_due, &most];
    if !promoted_keys.is_empty() {
        steps.push((PROMOTE, &promote_values));
    }
    let delivery_values: [&(dyn ToSql + Sync); 6] =
        [delivery_ids, events, generations, of, is_fifo, due];
    let count_values: [&(dyn ToSql + Sync); 4] =
        [&counts.webhooks, &slot, &counts.pending, &counts.bytes];
    let insert_at = steps.len();
    if !deliveries.is_empty() {
        steps.push((INSERT_DELIVERIES, &delivery_values));
        steps.push((COUNT, &count_values));
    }
    steps.push((COMMIT, &[]));
    let answers = link.pipeline(&steps).await?;
    let mut due = Vec::new();
    let by_id: BTreeMap<Uuid, &DeliveryInsert> =
        deliveries.iter().map(|one| (one.id, one)).collect();
    for row in answers.get(insert_at).into_iter().flatten().filter(|_| !deliveries.is_empty()) {
        let is_pending = row.get::<_, i16>(1) == 0;
        if let Some(delivery) = by_id.get(&row.get(0)).filter(|_| is_pending) {
            due.push((delivery.app, delivery.now));
        }
    }
    Ok(due)
}

/// The webhooks that have ceased to be `Fifo`, each once, with the time of their last new delivery.
fn promoted(deliveries: &[DeliveryInsert]) -> [Vec<i64>; 2] {
    let mut webhooks = BTreeMap::new();
    for delivery in deliveries.iter().filter(|one| one.is_ordered && !one.is_fifo) {
        webhooks.insert(delivery.webhook, codec::millis(delivery.now));
    }
    let (keys, due) = webhooks.into_iter().unzip();
    [keys, due]
}

struct DeliveryColumns {
    ids: Vec<Uuid>,
    events: Vec<Uuid>,
    generations: Vec<i32>,
    webhooks: Vec<i64>,
    is_fifo: Vec<bool>,
    due: Vec<i64>,
}

impl DeliveryColumns {
    fn of(deliveries: &[DeliveryInsert]) -> Self {
        let all = || deliveries.iter();
        Self {
            ids: all().map(|one| one.id).collect(),
            events: all().map(|one| one.event).collect(),
            generations: all().map(|one| one.generation.min(i32::MAX as u32) as i32).collect(),
            webhooks: all().map(|one| one.webhook).collect(),
            is_fifo: all().map(|one| one.is_fifo).collect(),
            due: all().map(|one| codec::millis(one.now)).collect(),
        }
    }
}

struct TallyChanges {
    webhooks: Vec<i64>,
    pending: Vec<i64>,
    bytes: Vec<i64>,
}

impl TallyChanges {
    fn of(deliveries: &[DeliveryInsert]) -> Self {
        let mut counts: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
        for delivery in deliveries {
            let (pending, bytes) = counts.entry(delivery.webhook).or_default();
            *pending += 1;
            *bytes += DELIVERY_BYTES + delivery.event_bytes;
        }
        Self {
            webhooks: counts.keys().copied().collect(),
            pending: counts.values().map(|(pending, _)| *pending).collect(),
            bytes: counts.values().map(|(_, bytes)| *bytes).collect(),
        }
    }
}
