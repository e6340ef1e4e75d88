//! Deletes expired rows, in small batches. One replica at a time does it.

use tokio_postgres::Row;
use uuid::Uuid;

use super::codec;
use super::failure::DatabaseFailure;
use super::link::Link;
use super::statements::{
    BEGIN, COMMIT, DELETE_EVENTS, DELETE_EXPIRED, DELETE_FINISHED, DELETE_KEYS, LOAD, LOCK_EVENTS,
    LOCK_MAINTENANCE, LOCK_WEBHOOKS, PROMOTE_STUCK, PRUNE_OWNERS, STUCK_WEBHOOKS,
};
use crate::moment::Moment;
use crate::routes::AppId;

/// The statements of this file, and of [`super::load`].
pub const STATEMENTS: &[&str] = &[
    DELETE_EVENTS,
    DELETE_EXPIRED,
    DELETE_FINISHED,
    DELETE_KEYS,
    LOAD,
    LOCK_EVENTS,
    LOCK_MAINTENANCE,
    LOCK_WEBHOOKS,
    PROMOTE_STUCK,
    PRUNE_OWNERS,
    STUCK_WEBHOOKS,
];

/// How many deliveries and duplicate keys one transaction deletes.
const DELETE_BATCH: i64 = 500;

/// What is over at these times.
#[derive(Clone, Copy, Debug)]
pub struct ExpiryLimits {
    /// The present time: duplicate keys whose window ends by then are deleted.
    pub now: Moment,
    /// Deliveries that finished by then are deleted.
    pub finished: Moment,
    /// Owners that were recorded before then are deleted, if the store has no data of them.
    pub owners: Option<Moment>,
}

/// Deletes one batch. Returns whether more may be left; `false` if another replica is at it.
pub async fn delete_expired(
    link: &mut Link,
    slot: i16,
    expired: ExpiryLimits,
) -> Result<bool, DatabaseFailure> {
    link.transaction(async |link| delete_batch(link, slot, expired).await).await
}

async fn delete_batch(
    link: &Link,
    slot: i16,
    expired: ExpiryLimits,
) -> Result<bool, DatabaseFailure> {
    let answers = link.pipeline(&[(BEGIN, &[]), (LOCK_MAINTENANCE, &[])]).await?;
    if !answers[1].first().is_some_and(|row| row.get(0)) {
        link.query(COMMIT, &[]).await?;
        return Ok(false);
    }
    let ExpiryLimits { now, finished, owners } = expired;
    let (now, finished) = (codec::millis(now), codec::millis(finished));
    if let Some(owners) = owners {
        link.query(PRUNE_OWNERS, &[&codec::millis(owners)]).await?;
    }
    let answers = link
        .pipeline(&[
            (DELETE_EXPIRED, &[&finished, &DELETE_BATCH, &slot]),
            (DELETE_KEYS, &[&now, &DELETE_BATCH]),
        ])
        .await?;
    let deleted = delete_events_and_commit(link, slot, &answers[0]).await?;
    Ok(deleted == DELETE_BATCH as usize)
}

/// Deletes one batch of finished deliveries of an app, to free space. Returns whether there were
/// any; `false` if another replica is at it.
pub async fn delete_finished(
    link: &mut Link,
    slot: i16,
    app: AppId,
) -> Result<bool, DatabaseFailure> {
    link.transaction(async |link| {
        let answers = link.pipeline(&[(BEGIN, &[]), (LOCK_MAINTENANCE, &[])]).await?;
        if !answers[1].first().is_some_and(|row| row.get(0)) {
            link.query(COMMIT, &[]).await?;
            return Ok(false);
        }
        let digest = app.namespace();
        let deleted =
            link.query(DELETE_FINISHED, &[&app.uuid, &DELETE_BATCH, &slot, &&digest[..]]).await?;
        Ok(delete_events_and_commit(link, slot, &deleted).await? > 0)
    })
    .await
}

/// Deletes the events of deleted deliveries, if they have no other one. Returns how many events the
/// deliveries had.
async fn delete_events_and_commit(
    link: &Link,
    slot: i16,
    deleted: &[Row],
) -> Result<usize, DatabaseFailure> {
    let events: Vec<Uuid> = deleted.iter().map(|row| row.get(0)).collect();
    link.pipeline(&[(LOCK_EVENTS, &[&events]), (DELETE_EVENTS, &[&events, &slot]), (COMMIT, &[])])
        .await?;
    Ok(events.len())
}

/// Lets the deliveries of ordered webhooks go on that have a waiting delivery and no pending one.
/// Returns their apps.
pub async fn promote_stuck(
    link: &mut Link,
    now: Moment,
) -> Result<Vec<(AppId, Moment)>, DatabaseFailure> {
    let stuck = link.query(STUCK_WEBHOOKS, &[]).await?;
    if stuck.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<i64> = stuck.iter().map(|row| row.get(0)).collect();
    let due = codec::millis(now);
    link.transaction(async |link| {
        link.pipeline(&[
            (BEGIN, &[]),
            (LOCK_WEBHOOKS, &[&keys]),
            (PROMOTE_STUCK, &[&keys, &due]),
            (COMMIT, &[]),
        ])
        .await
    })
    .await?;
    Ok(stuck.iter().map(|row| (codec::app_id(row, 1, 2), now)).collect())
}
