//! Leases due deliveries of an app.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio_postgres::Row;
use uuid::Uuid;

use super::codec::{self, Number};
use super::failure::DatabaseFailure;
use super::link::Link;
use super::statements::{
    BEGIN, COMMIT, END_UNREADABLE, LEASES, LOCK_APP, NEXT_DUE, TAKE, WEBHOOKS,
};
use super::webhooks::SnapshotCache;
use crate::moment::Moment;
use crate::store::{
    Body, DeadReason, Form, INLINE_BODY_BYTES, Lease, Leased, StoredWebhook, Take, Taken, headers,
};

/// The statements of this file.
pub const STATEMENTS: &[&str] = &[LOCK_APP, LEASES, TAKE, NEXT_DUE, END_UNREADABLE, WEBHOOKS];

/// When an app is asked for again whose leases are all at other replicas, or for which no lease can
/// be given.
const BLOCKED_DELAY: Duration = Duration::from_millis(500);

/// Leases due deliveries for a session.
pub async fn take(
    link: &mut Link,
    snapshots: &mut SnapshotCache,
    session: i64,
    slot: i16,
    take: Take,
) -> Result<Taken, DatabaseFailure> {
    let answers = link.transaction(async |link| run(link, session, take).await).await?;
    let [_, _, leases, taken, next_due, _] = &answers[..] else {
        return Err(DatabaseFailure::unavailable("an answer of the database is missing"));
    };
    let versions = taken.iter().map(|row| (row.get(4), row.get(5))).collect();
    let webhooks = snapshots.read(link, &versions).await?;
    let leased: Vec<Option<Leased>> = taken.iter().map(|row| decode(row, &webhooks)).collect();
    end_unreadable(link, slot, taken, &leased, take.now).await?;
    let next_due = next_due.first().map(|row| codec::moment(row.get(0)));
    let limits = leases.first().map(|row| TakeLimits::of(row, taken.len(), take));
    Ok(Taken {
        leased: leased.into_iter().flatten().collect(),
        next_due: limits.map_or(next_due, |limits| limits.next_due(next_due)),
    })
}

async fn run(link: &Link, session: i64, take: Take) -> Result<Vec<Vec<Row>>, DatabaseFailure> {
    let Take { app, most, concurrency, now, lease } = take;
    let (now_column, until) = (codec::millis(now), codec::millis(now + lease));
    let digest = app.namespace();
    let digest = &digest[..];
    let limit = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let name = format!("{}{}", app.uuid, u128::from_be_bytes(app.namespace()));
    let inline = INLINE_BODY_BYTES as i32;
    link.pipeline(&[
        (BEGIN, &[]),
        (LOCK_APP, &[&name]),
        (LEASES, &[&session, &now_column, &app.uuid, &digest]),
        (
            TAKE,
            &[
                &session,
                &now_column,
                &app.uuid,
                &digest,
                &limit(most),
                &limit(concurrency),
                &until,
                &inline,
            ],
        ),
        (NEXT_DUE, &[&session, &now_column, &app.uuid, &digest]),
        (COMMIT, &[]),
    ])
    .await
}

/// What kept a `take` from leasing more.
struct TakeLimits {
    now: Moment,
    /// When the first lease of this session ends that was there before.
    lease_end: Option<Moment>,
    /// Whether the leases of the app, or the lack of a session, were in the way.
    is_blocked: bool,
}

impl TakeLimits {
    fn of(row: &Row, taken: usize, take: Take) -> Self {
        let leases = usize::try_from(row.get::<_, i64>(0)).unwrap_or(usize::MAX);
        let is_alive: bool = row.get(2);
        let is_blocked = !is_alive || leases.saturating_add(taken) >= take.concurrency;
        let lease_end = codec::optional_moment(row, 1);
        Self { now: take.now, lease_end, is_blocked }
    }

    /// When the app's next delivery can be leased, if the next one without a lease is due then.
    fn next_due(&self, due: Option<Moment>) -> Option<Moment> {
        let due = match due {
            Some(due) if self.is_blocked => Some(due.max(self.now + BLOCKED_DELAY)),
            due => due,
        };
        due.into_iter().chain(self.lease_end).min()
    }
}

/// Decodes a row of [`TAKE`]; `None` if its event or its webhook is missing.
fn decode(row: &Row, webhooks: &HashMap<i64, Arc<StoredWebhook>>) -> Option<Leased> {
    let form = Form::from_number(row.get::<_, Option<i16>>(6)?)?;
    let body: Option<Vec<u8>> = row.get(10);
    let len = usize::try_from(row.get::<_, i32>(9)).ok()?;
    Some(Leased {
        lease: Lease { delivery: row.get(0), token: u64::try_from(row.get::<_, i64>(1)).ok()? },
        event: row.get(2),
        attempt: u32::try_from(row.get::<_, i32>(3)).unwrap_or(0).saturating_add(1),
        webhook: webhooks.get(&row.get(4))?.clone(),
        form,
        content_type: codec::header_value(row.get(7)),
        headers: headers::from_bytes(row.get(8)),
        body: body.map_or(Body::Stored(len), |body| Body::Here(Bytes::from(body))),
    })
}

/// Marks deliveries as dead that cannot be read, so that they are not leased again and again.
async fn end_unreadable(
    link: &mut Link,
    slot: i16,
    rows: &[Row],
    leased: &[Option<Leased>],
    now: Moment,
) -> Result<(), DatabaseFailure> {
    let unreadable = rows.iter().zip(leased).filter(|(_, leased)| leased.is_none());
    let unreadable: Vec<Uuid> = unreadable.map(|(row, _)| row.get(0)).collect();
    if unreadable.is_empty() {
        return Ok(());
    }
    tracing::error!(count = unreadable.len(), "deliveries cannot be read, and are now dead");
    let (now, reason) = (codec::millis(now), DeadReason::Unreadable.to_number());
    link.query(END_UNREADABLE, &[&unreadable, &now, &reason, &slot]).await?;
    Ok(())
}
