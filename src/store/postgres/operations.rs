//! The operations that are rare: each is a transaction of its own.

use tokio_postgres::Row;
use uuid::Uuid;

use super::codec::{self, Number};
use super::creating::{self, DeliveryInsert, NewEvents};
use super::failure::DatabaseFailure;
use super::link::Link;
use super::statements::{
    BEGIN, COMMIT, COUNT, DELETE_APPS, DELETE_WEBHOOKS, FIND_DELIVERY, GIVE_UP_PENDING,
    GIVE_UP_WAITING, INSERT_DELIVERIES, INSERT_EVENTS, KEEP_WEBHOOKS, LAST_GENERATION, LOCK_EVENT,
    LOCK_UNUSED, LOCK_WEBHOOKS, LOCK_WEBHOOKS_OF_APP, PROMOTE, PRUNE_CANDIDATES, RECORD_OWNERS,
    WEBHOOKS,
};
use super::{history, webhooks};
use crate::moment::Moment;
use crate::resources::Ordering;
use crate::routes::AppId;
use crate::store::{DeadReason, Filter, Ids, Owner, Replayed, WebhookExists};

/// The statements of this file.
pub const STATEMENTS: &[&str] = &[
    COUNT,
    DELETE_APPS,
    DELETE_WEBHOOKS,
    FIND_DELIVERY,
    GIVE_UP_PENDING,
    GIVE_UP_WAITING,
    INSERT_DELIVERIES,
    INSERT_EVENTS,
    KEEP_WEBHOOKS,
    LAST_GENERATION,
    LOCK_EVENT,
    LOCK_UNUSED,
    LOCK_WEBHOOKS,
    LOCK_WEBHOOKS_OF_APP,
    PROMOTE,
    PRUNE_CANDIDATES,
    RECORD_OWNERS,
    WEBHOOKS,
];

/// How many deliveries one [`give_up`] marks as dead.
const GIVE_UP_BATCH: i64 = 500;

/// How many webhooks are checked for pruning at once.
const PRUNE_BATCH: i64 = 500;

/// Marks some undelivered deliveries of an app as dead. Returns how many.
pub async fn give_up(
    link: &mut Link,
    slot: i16,
    app: AppId,
    reason: DeadReason,
    now: Moment,
) -> Result<usize, DatabaseFailure> {
    let digest = app.namespace();
    let digest = &digest[..];
    let (now, reason) = (codec::millis(now), reason.to_number());
    for statement in [GIVE_UP_PENDING, GIVE_UP_WAITING] {
        let given_up = link
            .transaction(async |link| {
                link.pipeline(&[
                    (BEGIN, &[]),
                    (LOCK_WEBHOOKS_OF_APP, &[&app.uuid, &digest]),
                    (statement, &[&app.uuid, &digest, &now, &reason, &slot, &GIVE_UP_BATCH]),
                    (COMMIT, &[]),
                ])
                .await
            })
            .await?;
        let count: i64 = given_up[2].first().map_or(0, |row| row.get(0));
        if count > 0 {
            return Ok(usize::try_from(count).unwrap_or(0));
        }
    }
    Ok(0)
}

/// Creates a new delivery of the event of a delivery. Returns its id, and its app if it is pending.
pub async fn replay(
    link: &mut Link,
    slot: i16,
    ids: &Ids,
    id: Uuid,
    now: Moment,
) -> Result<(Option<Uuid>, Vec<(AppId, Moment)>), DatabaseFailure> {
    link.transaction(async |link| {
        link.query(BEGIN, &[]).await?;
        let deliveries: Vec<DeliveryInsert> =
            new_delivery(link, ids, id, now).await?.into_iter().collect();
        let replay = deliveries.first().map(|delivery| delivery.id);
        let none = NewEvents::default();
        let due = creating::create_and_commit(link, slot, &none, &deliveries).await?;
        Ok((replay, due))
    })
    .await
}

/// Creates new deliveries for events whose latest delivery has finished and matches the filter.
pub async fn replay_all(
    link: &mut Link,
    slot: i16,
    ids: &Ids,
    filter: &Filter,
    cursor: Option<Uuid>,
    limit: usize,
    now: Moment,
) -> Result<(Replayed, Vec<(AppId, Moment)>), DatabaseFailure> {
    link.transaction(async |link| {
        link.query(BEGIN, &[]).await?;
        let (found, cursor) = history::replayable(link, filter, cursor, limit).await?;
        let mut deliveries = Vec::with_capacity(found.len());
        for (id, generation) in found {
            let delivery = new_delivery(link, ids, id, now).await?;
            // Another replica may have replayed it meanwhile.
            deliveries.extend(delivery.filter(|new| new.generation == generation + 1));
        }
        let none = NewEvents::default();
        let due = creating::create_and_commit(link, slot, &none, &deliveries).await?;
        Ok((Replayed { count: deliveries.len(), cursor }, due))
    })
    .await
}

/// The next delivery of the event of a delivery. Locks its webhook and its event.
async fn new_delivery(
    link: &Link,
    ids: &Ids,
    id: Uuid,
    now: Moment,
) -> Result<Option<DeliveryInsert>, DatabaseFailure> {
    let Some(row) = link.query_opt(FIND_DELIVERY, &[&id]).await? else { return Ok(None) };
    let (event, webhook): (Uuid, i64) = (row.get(0), row.get(1));
    let is_fifo = Ordering::from_number(row.get(2)) == Some(Ordering::Fifo);
    let is_ordered = is_fifo || row.get(3);
    let lock = if is_ordered { LOCK_WEBHOOKS } else { KEEP_WEBHOOKS };
    link.query(lock, &[&[webhook].as_slice()]).await?;
    if link.query_opt(LOCK_EVENT, &[&event]).await?.is_none() {
        return Ok(None);
    }
    let last = link.query_opt(LAST_GENERATION, &[&event, &id]).await?;
    let last: i32 = last.map_or(1, |row| row.get(0));
    Ok(Some(DeliveryInsert {
        id: ids.next(now),
        event,
        generation: u32::try_from(last).unwrap_or(1).saturating_add(1),
        app: codec::app_id(&row, 4, 5),
        webhook,
        is_fifo,
        is_ordered,
        event_bytes: 0,
        now,
    }))
}

/// Reads all owners.
pub async fn owners(link: &Link) -> Result<Vec<Owner>, DatabaseFailure> {
    let rows = link.client().query("SELECT uuid, namespace FROM owner", &[]).await?;
    let owner = |row: &Row| Owner { uuid: row.get(0), namespace: row.get::<_, &str>(1).into() };
    Ok(rows.iter().map(owner).collect())
}

/// Records owners.
pub async fn record_owners(
    link: &Link,
    owners: &[Owner],
    now: Moment,
) -> Result<(), DatabaseFailure> {
    let uuids: Vec<Uuid> = owners.iter().map(|owner| owner.uuid).collect();
    let namespaces: Vec<&str> = owners.iter().map(|owner| &*owner.namespace).collect();
    link.query(RECORD_OWNERS, &[&uuids, &namespaces, &codec::millis(now)]).await?;
    Ok(())
}

/// Checks webhooks after `cursor`, and deletes those that are unused and do not exist. Returns
/// where to continue; `None` if none is left.
pub async fn prune(
    link: &mut Link,
    cursor: i64,
    exists: &WebhookExists,
) -> Result<Option<i64>, DatabaseFailure> {
    let candidates = link.query(PRUNE_CANDIDATES, &[&cursor, &PRUNE_BATCH]).await?;
    let next = candidates.last().filter(|_| candidates.len() == PRUNE_BATCH as usize);
    let next = next.map(|row| row.get(0));
    let unused = candidates.iter().filter(|row| row.get(1)).map(|row| row.get(0));
    let unused: Vec<i64> = unused.collect();
    let stored = webhooks::read(link, &unused).await?;
    let gone = stored.filter(|(_, _, stored)| !exists(stored)).map(|(key, _, _)| key);
    let gone: Vec<i64> = gone.collect();
    if !gone.is_empty() {
        link.transaction(async |link| delete_webhooks(link, &gone).await).await?;
    }
    Ok(next)
}

async fn delete_webhooks(link: &Link, keys: &[i64]) -> Result<(), DatabaseFailure> {
    let answers = link
        .pipeline(&[(BEGIN, &[]), (LOCK_UNUSED, &[&keys]), (DELETE_WEBHOOKS, &[&keys])])
        .await?;
    let apps: Vec<i64> = answers[2].iter().map(|row| row.get(0)).collect();
    // Fails if a webhook of the app was stored at the same time: all is left for the next time.
    link.pipeline(&[(DELETE_APPS, &[&apps]), (COMMIT, &[])]).await?;
    Ok(())
}
