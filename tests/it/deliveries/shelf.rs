//! A store that only shows and replays what a test put into it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use uuid::Uuid;
use webhook_operator::event::Form;
use webhook_operator::moment::Moment;
use webhook_operator::routes::AppId;
use webhook_operator::store::{
    Attempted, DeadReason, DeliveryState, Detail, Filter, History, HistoryScope, Ids, Replayed,
    StoreError, StoreFuture, StoreMetrics, StoredWebhook, Summary, Tally, ids,
};

/// When the first delivery of a shelf began.
pub const FIRST: Moment = Moment(1_790_000_000_000);

/// Deliveries, the oldest first.
#[derive(Debug)]
pub struct Shelf {
    pub details: Mutex<Vec<Detail>>,
    /// What every question is answered with.
    pub failure: Mutex<Option<StoreError>>,
    scope: HistoryScope,
    ids: Ids,
}

impl Shelf {
    /// One of a replica's own.
    pub fn empty() -> Arc<Self> {
        Self::of(HistoryScope::ThisReplica)
    }

    /// One that all replicas share.
    pub fn shared() -> Arc<Self> {
        Self::of(HistoryScope::AllReplicas)
    }

    fn of(scope: HistoryScope) -> Arc<Self> {
        let (details, failure) = (Mutex::default(), Mutex::default());
        Arc::new(Self { details, failure, scope, ids: Ids::default() })
    }

    /// Adds a delivery of `namespace/webhook`, a second after the one before it.
    pub fn add(&self, webhook: &str, state: DeliveryState) -> Uuid {
        self.add_with(webhook, state, |_| ())
    }

    pub fn add_with(
        &self,
        webhook: &str,
        state: DeliveryState,
        change: impl FnOnce(&mut Detail),
    ) -> Uuid {
        let mut details = self.details.lock().unwrap();
        let began = FIRST + Duration::from_secs(details.len() as u64);
        let id = self.ids.next(began);
        let mut detail = detail(id, webhook, state);
        change(&mut detail);
        details.push(detail);
        id
    }

    fn answer<T: Send + 'static>(&self, act: impl FnOnce(&mut Vec<Detail>) -> T) -> StoreFuture<T> {
        let answer = match &*self.failure.lock().unwrap() {
            Some(error) => Err(error.clone()),
            None => Ok(act(&mut self.details.lock().unwrap())),
        };
        Box::pin(async { answer })
    }

    fn begin_anew(&self, of: &Detail, now: Moment) -> Detail {
        let mut again = detail(self.ids.next(now), "", DeliveryState::Pending);
        again.summary.event = of.summary.event;
        again.summary.generation = of.summary.generation + 1;
        again.summary.webhook = of.summary.webhook.clone();
        again
    }
}

/// A delivery that was attempted as its state tells.
fn detail(id: Uuid, webhook: &str, state: DeliveryState) -> Detail {
    let (namespace, name) = webhook.split_once('/').unwrap_or_default();
    let webhook = StoredWebhook {
        app: AppId::new(namespace, Uuid::from_u128(1)),
        uuid: Uuid::from_u128(2),
        namespace: namespace.into(),
        app_name: "shop".into(),
        name: name.into(),
        action: "pay".into(),
        props: Bytes::from_static(b"null"),
        retry: None,
        ordering: webhook_operator::resources::Ordering::Parallel,
    };
    let (attempts, last_status) = match state {
        DeliveryState::Pending | DeliveryState::Waiting => (Vec::new(), None),
        DeliveryState::Succeeded => (vec![attempted(200)], Some(200)),
        DeliveryState::Dead => (vec![attempted(404)], Some(404)),
    };
    let ended = matches!(state, DeliveryState::Succeeded | DeliveryState::Dead);
    let summary = Summary {
        id,
        event: id,
        generation: 1,
        webhook: Arc::new(webhook),
        state,
        reason: (state == DeliveryState::Dead).then_some(DeadReason::Rejected),
        attempts: attempts.len() as u32,
        due: (state == DeliveryState::Pending).then(|| ids::moment(id)),
        finished: ended.then(|| ids::moment(id) + Duration::from_millis(30)),
        last_status,
    };
    let headers = HeaderMap::from_iter([(
        http::HeaderName::from_static("x-github-event"),
        HeaderValue::from_static("push"),
    )]);
    Detail {
        summary,
        attempts,
        content_type: Some("application/json".into()),
        headers,
        body_bytes: 8,
        form: Form::Json,
        body: Bytes::from_static(br#"{"a": 1}"#),
    }
}

fn attempted(status: u16) -> Attempted {
    let succeeded = status == 200;
    Attempted {
        number: 1,
        started: FIRST,
        took: Duration::from_millis(12),
        status: Some(status),
        error: (!succeeded).then(|| "the listener answered 404".into()),
        answer: Bytes::from_static(if succeeded { b"" } else { b"no such action" }),
    }
}

fn is_meant(filter: &Filter, summary: &Summary) -> bool {
    let Filter { namespace, webhook, state, since, until } = filter;
    let began = ids::moment(summary.id);
    let stands = match summary.state {
        DeliveryState::Waiting => DeliveryState::Pending,
        state => state,
    };
    namespace.as_ref().is_none_or(|namespace| **namespace == *summary.webhook.namespace)
        && webhook.as_ref().is_none_or(|webhook| **webhook == *summary.webhook.name)
        && state.is_none_or(|state| state == stands)
        && since.is_none_or(|since| began >= since)
        && until.is_none_or(|until| began < until)
}

impl History for Shelf {
    fn scope(&self) -> HistoryScope {
        self.scope
    }

    fn list(
        &self,
        filter: Filter,
        cursor: Option<Uuid>,
        limit: usize,
    ) -> StoreFuture<Vec<Summary>> {
        self.answer(|details| {
            let summaries = details.iter().rev().map(|detail| detail.summary.clone());
            let after = summaries.filter(|summary| cursor.is_none_or(|cursor| summary.id < cursor));
            after.filter(|summary| is_meant(&filter, summary)).take(limit).collect()
        })
    }

    fn show(&self, id: Uuid) -> StoreFuture<Option<Detail>> {
        self.answer(|details| details.iter().find(|detail| detail.summary.id == id).cloned())
    }

    fn replay(&self, id: Uuid, now: Moment) -> StoreFuture<Option<Uuid>> {
        self.answer(|details| {
            let of = details.iter().find(|detail| detail.summary.id == id)?;
            let again = self.begin_anew(of, now);
            let id = again.summary.id;
            details.push(again);
            Some(id)
        })
    }

    /// Two at a time at most: a caller has to go on.
    fn replay_all(
        &self,
        filter: Filter,
        cursor: Option<Uuid>,
        limit: usize,
        now: Moment,
    ) -> StoreFuture<Replayed> {
        self.answer(|details| {
            let after = |detail: &&Detail| cursor.is_none_or(|cursor| detail.summary.id < cursor);
            let meant = details.iter().rev().filter(after);
            let meant = meant.filter(|detail| is_meant(&filter, &detail.summary));
            let meant: Vec<Detail> = meant.take(limit.min(2)).cloned().collect();
            details.extend(meant.iter().map(|of| self.begin_anew(of, now)));
            Replayed { count: meant.len(), cursor: meant.last().map(|last| last.summary.id) }
        })
    }

    fn tallies(&self) -> StoreFuture<Vec<(Arc<StoredWebhook>, Tally)>> {
        self.answer(|details| {
            let mut tallies: Vec<(Arc<StoredWebhook>, Tally)> = Vec::new();
            for Detail { summary, .. } in details {
                let known = tallies.iter().position(|(webhook, _)| *webhook == summary.webhook);
                let known = known.unwrap_or_else(|| {
                    tallies.push((summary.webhook.clone(), Tally::default()));
                    tallies.len() - 1
                });
                let tally = &mut tallies[known].1;
                *match summary.state {
                    DeliveryState::Pending | DeliveryState::Waiting => &mut tally.pending,
                    DeliveryState::Succeeded => &mut tally.succeeded,
                    DeliveryState::Dead => &mut tally.dead,
                } += 1;
            }
            tallies
        })
    }

    fn metrics(&self) -> StoreMetrics {
        StoreMetrics::default()
    }
}
