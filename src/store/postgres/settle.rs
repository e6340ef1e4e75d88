//! Records a batch of attempts in one transaction.

use std::collections::HashMap;

use uuid::Uuid;

use super::codec::{self, Number};
use super::failure::DatabaseFailure;
use super::link::Link;
use super::statements::{BEGIN, COMMIT, LOCK_WEBHOOKS_OF, PROMOTE_NEXT, SETTLE};
use crate::moment::Moment;
use crate::routes::AppId;
use crate::store::{Attempted, DeliveryState, Lease, Next, Settled};

/// The statements of this file.
pub const STATEMENTS: &[&str] = &[LOCK_WEBHOOKS_OF, SETTLE, PROMOTE_NEXT];

/// An attempt to be recorded.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The lease of the attempt.
    pub lease: Lease,
    /// The attempt.
    pub attempted: Attempted,
    /// The next state of the delivery.
    pub next: Next,
}

/// What became of a batch.
pub struct SettledBatch {
    /// What became of each attempt.
    pub settled: Vec<Settled>,
    /// Apps with deliveries that became pending or are to be retried.
    pub due: Vec<(AppId, Moment)>,
}

/// Records attempts, and the next states of their deliveries. No two are of one delivery.
pub async fn settle(
    link: &mut Link,
    slot: i16,
    settlements: &[&Settlement],
) -> Result<SettledBatch, DatabaseFailure> {
    let columns = SettlementColumns::of(settlements);
    let answers = link.transaction(async |link| columns.run(link, slot).await).await?;
    let [_, _, settled, promoted, _] = &answers[..] else {
        return Err(DatabaseFailure::unavailable("an answer of the database is missing"));
    };
    let apps = settled.iter().map(|row| (row.get::<_, Uuid>(0), codec::app_id(row, 1, 2)));
    let apps: HashMap<Uuid, AppId> = apps.collect();
    let mut due: Vec<(AppId, Moment)> =
        promoted.iter().map(|row| (codec::app_id(row, 0, 1), codec::moment(row.get(2)))).collect();
    let settled = settlements.iter().map(|settlement| {
        let Some(app) = apps.get(&settlement.lease.delivery) else { return Settled::Stale };
        if let Next::Retry(at) = settlement.next {
            due.push((*app, at));
        }
        Settled::Recorded
    });
    Ok(SettledBatch { settled: settled.collect(), due })
}

#[derive(Default)]
struct SettlementColumns<'a> {
    ids: Vec<Uuid>,
    tokens: Vec<i64>,
    states: Vec<i16>,
    due: Vec<i64>,
    finished: Vec<Option<i64>>,
    reasons: Vec<Option<i16>>,
    numbers: Vec<i32>,
    started: Vec<i64>,
    took: Vec<i64>,
    statuses: Vec<Option<i32>>,
    errors: Vec<Option<String>>,
    answers: Vec<Option<&'a [u8]>>,
    ends: Vec<i64>,
}

impl<'a> SettlementColumns<'a> {
    fn of(settlements: &[&'a Settlement]) -> Self {
        let mut columns = Self::default();
        settlements.iter().for_each(|settlement| columns.push(settlement));
        columns
    }

    fn push(&mut self, settlement: &'a Settlement) {
        let Settlement { lease, attempted, next } = settlement;
        let Attempted { number, started, took, status, error, answer } = attempted;
        let end = *started + *took;
        let (state, due, finished, reason) = match next {
            Next::Succeeded => (DeliveryState::Succeeded, end, Some(end), None),
            Next::Dead(reason) => (DeliveryState::Dead, end, Some(end), Some(reason.to_number())),
            Next::Retry(due) => (DeliveryState::Pending, *due, None, None),
        };
        self.ids.push(lease.delivery);
        self.tokens.push(i64::try_from(lease.token).unwrap_or(0));
        self.states.push(state.to_number());
        self.due.push(codec::millis(due));
        self.finished.push(finished.map(codec::millis));
        self.reasons.push(reason);
        self.numbers.push(i32::try_from(*number).unwrap_or(i32::MAX));
        self.started.push(codec::millis(*started));
        self.took.push(i64::try_from(took.as_micros()).unwrap_or(i64::MAX));
        self.statuses.push(status.map(i32::from));
        self.errors.push(error.as_deref().map(codec::text));
        self.answers.push((!answer.is_empty()).then_some(&answer[..]));
        self.ends.push(codec::millis(end));
    }

    async fn run(
        &self,
        link: &Link,
        slot: i16,
    ) -> Result<Vec<Vec<tokio_postgres::Row>>, DatabaseFailure> {
        let Self { ids, tokens, states, due, finished, reasons, .. } = self;
        let Self { numbers, started, took, statuses, errors, answers, ends, .. } = self;
        link.pipeline(&[
            (BEGIN, &[]),
            (LOCK_WEBHOOKS_OF, &[ids]),
            (
                SETTLE,
                &[
                    ids, tokens, states, due, finished, reasons, numbers, started, took, statuses,
                    errors, answers, &slot,
                ],
            ),
            (PROMOTE_NEXT, &[ids, ends]),
            (COMMIT, &[]),
        ])
        .await
    }
}
