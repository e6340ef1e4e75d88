//! A store in the simplest way that can be right: lists that are gone through. What an engine does is
//! held against it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::sleep;
use uuid::Uuid;
use webhook_operator::moment::Moment;
use webhook_operator::resources::Ordering;
use webhook_operator::routes::AppId;
use webhook_operator::store::{
    Accepted, Attempted, Body, Content, DeadReason, DeliveryState, Detail, DueApps, Filter, Health,
    History, HistoryScope, INLINE_BODY_BYTES, Ids, Lease, Leased, NewEvent, Next, Owner,
    PROMOTE_BATCH, Queue, Replayed, SHOWN_BODY_BYTES, Settled, StoreError, StoreFuture,
    StoreMetrics, StoredWebhook, Summary, Take, Taken, Tally, WebhookExists, ids,
};
use webhook_operator::verify::Repeats;

/// From this length on, a lease does not bring the body along.
pub const LARGE_BODY_BYTES: usize = INLINE_BODY_BYTES + 1;

/// A store in memory.
#[derive(Debug)]
pub struct ModelStore {
    model: Mutex<Model>,
    due_apps: Arc<DueApps>,
    health: watch::Sender<Health>,
    ids: Ids,
    max_bytes: u64,
    /// How long it is before a lease is known of.
    take_time: Mutex<Duration>,
}

/// What is in it, by ids: in the order in which it came.
#[derive(Debug, Default)]
struct Model {
    events: BTreeMap<Uuid, Event>,
    deliveries: BTreeMap<Uuid, Delivery>,
    webhooks: HashMap<Webhook, Arc<StoredWebhook>>,
    duplicates: HashMap<(Webhook, [u8; 16]), Uuid>,
    owners: HashMap<Uuid, Arc<str>>,
    last_token: u64,
    /// What the next settlements are answered instead of being done.
    refusals: VecDeque<StoreError>,
    due: HashMap<AppId, Moment>,
}

/// An app, and a webhook's UUID.
type Webhook = (AppId, Uuid);

#[derive(Debug)]
struct Event {
    webhook: Webhook,
    content: Content,
}

#[derive(Debug)]
struct Delivery {
    event: Uuid,
    generation: u32,
    webhook: Webhook,
    state: DeliveryState,
    reason: Option<DeadReason>,
    due: Moment,
    finished: Option<Moment>,
    attempts: Vec<Attempted>,
    /// The token, and when it ends.
    lease: Option<(u64, Moment)>,
}

impl Delivery {
    fn has_ended(&self) -> bool {
        matches!(self.state, DeliveryState::Succeeded | DeliveryState::Dead)
    }

    fn end(&mut self, state: DeliveryState, reason: Option<DeadReason>, now: Moment) {
        (self.state, self.reason) = (state, reason);
        self.finished = Some(now);
        self.lease = None;
    }
}

impl Default for ModelStore {
    fn default() -> Self {
        Self::with_room(u64::MAX)
    }
}

impl ModelStore {
    /// A store that is full when the bodies of its events have so many bytes.
    pub fn with_room(max_bytes: u64) -> Self {
        let health = watch::channel(Health::Serving).0;
        let (model, due_apps, ids, take_time) = Default::default();
        Self { model, due_apps, health, ids, max_bytes, take_time }
    }

    /// Answers the next settlements with these errors, and does not make them.
    pub fn refuse_to_settle(&self, errors: impl IntoIterator<Item = StoreError>) {
        self.model().refusals.extend(errors);
    }

    /// From now on, it takes so long before a lease is known of.
    pub fn slow_to_take(&self, time: Duration) {
        *self.take_time.lock().unwrap() = time;
    }

    /// Ends every lease, and tells of all apps: as after a crash.
    pub fn reopen(&self) {
        self.change(|model| {
            for delivery in model.deliveries.values_mut() {
                delivery.lease = None;
            }
            let open: Vec<_> = model.deliveries.values().filter(|one| !one.has_ended()).collect();
            let apps: Vec<AppId> = open.iter().map(|one| one.webhook.0).collect();
            apps.into_iter().for_each(|app| model.tell(app, Moment(0)));
        });
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap()
    }

    /// Makes a change, and tells what is due through it.
    fn change<T>(&self, change: impl FnOnce(&mut Model) -> T) -> T {
        let mut model = self.model();
        let answer = change(&mut model);
        let due = std::mem::take(&mut model.due);
        drop(model);
        self.due_apps.notify(due);
        answer
    }
}

impl Model {
    fn oldest(&self) -> Vec<(AppId, Moment)> {
        let mut oldest = HashMap::new();
        // In the order in which they began: the first one of an app stays.
        for (id, delivery) in self.deliveries.iter().filter(|(_, one)| !one.has_ended()) {
            let second = Moment(ids::moment(*id).0 / 1000 * 1000);
            oldest.entry(delivery.webhook.0).or_insert(second);
        }
        oldest.into_iter().collect()
    }

    fn tallies(&self) -> Vec<(Arc<StoredWebhook>, Tally)> {
        let mut tallies: HashMap<Webhook, Tally> = HashMap::new();
        for delivery in self.deliveries.values() {
            let tally = tallies.entry(delivery.webhook).or_default();
            match delivery.state {
                DeliveryState::Succeeded => {
                    tally.succeeded += 1;
                    tally.last = tally.last.max(delivery.finished);
                }
                DeliveryState::Dead => tally.dead += 1,
                DeliveryState::Pending | DeliveryState::Waiting => tally.pending += 1,
            }
        }
        let named = tallies.into_iter();
        named.map(|(webhook, tally)| (self.webhooks[&webhook].clone(), tally)).collect()
    }

    fn tell(&mut self, app: AppId, due: Moment) {
        let earliest = self.due.entry(app).or_insert(due);
        *earliest = due.min(*earliest);
    }

    fn bytes(&self) -> u64 {
        self.events.values().map(|event| event.content.body.len() as u64).sum()
    }

    fn accept(&mut self, new: NewEvent, max_bytes: u64) -> Result<Accepted, StoreError> {
        let webhook = (new.route.app.id, new.route.webhook);
        // A copy tells as much of its webhook as what it is a copy of.
        self.webhooks.insert(webhook, Arc::new(StoredWebhook::of(&new.route)));
        if let Some(duplicate) = new.duplicate {
            let known = self.duplicates.get(&(webhook, duplicate.hash)).copied();
            let is_same = |first: &Uuid| ids::moment(*first) + duplicate.window > new.now;
            if let Some(first) = known.filter(is_same)
                && self.events.contains_key(&first)
            {
                let of_first = || self.deliveries.values().filter(|one| one.event == first);
                let is_done = |one: &Delivery| match one.state {
                    DeliveryState::Dead => true,
                    DeliveryState::Succeeded => duplicate.repeats == Repeats::ByHand,
                    DeliveryState::Pending | DeliveryState::Waiting => false,
                };
                if !of_first().all(is_done) {
                    return Ok(Accepted::Duplicate(first));
                }
                if new.is_refused {
                    return Ok(Accepted::Refused);
                }
                let generation = self.last_generation(first) + 1;
                self.begin(new.id, first, generation, webhook, new.now);
                return Ok(Accepted::Replayed(first));
            }
        }
        if new.is_refused {
            return Ok(Accepted::Refused);
        }
        if self.bytes() + new.content.body.len() as u64 > max_bytes {
            return Err(StoreError::Full);
        }
        if let Some(duplicate) = new.duplicate {
            self.duplicates.insert((webhook, duplicate.hash), new.id);
        }
        self.events.insert(new.id, Event { webhook, content: new.content });
        self.begin(new.id, new.id, 1, webhook, new.now);
        Ok(Accepted::Stored)
    }

    fn begin(&mut self, id: Uuid, event: Uuid, generation: u32, webhook: Webhook, now: Moment) {
        let is_open = |one: &Delivery| one.webhook == webhook && !one.has_ended();
        let state = match self.webhooks[&webhook].ordering {
            Ordering::Fifo if self.deliveries.values().any(is_open) => DeliveryState::Waiting,
            Ordering::Fifo => DeliveryState::Pending,
            Ordering::Parallel => {
                self.promote(webhook, PROMOTE_BATCH, now);
                DeliveryState::Pending
            }
        };
        let (reason, finished, attempts, lease) = (None, None, Vec::new(), None);
        let due = now;
        let delivery =
            Delivery { event, generation, webhook, state, reason, due, finished, attempts, lease };
        self.deliveries.insert(id, delivery);
        if state == DeliveryState::Pending {
            self.tell(webhook.0, now);
        }
    }

    /// Makes the oldest of those pending that wait.
    fn promote(&mut self, webhook: Webhook, most: usize, now: Moment) {
        let waits =
            |one: &&mut Delivery| one.webhook == webhook && one.state == DeliveryState::Waiting;
        let mut promoted = 0;
        for delivery in self.deliveries.values_mut().filter(waits).take(most) {
            (delivery.state, delivery.due) = (DeliveryState::Pending, now);
            promoted += 1;
        }
        if promoted > 0 {
            self.tell(webhook.0, now);
        }
    }

    fn take(&mut self, take: Take) -> Taken {
        let mut pending: Vec<(Moment, Uuid)> = self
            .deliveries
            .iter()
            .filter(|(_, one)| one.webhook.0 == take.app && one.state == DeliveryState::Pending)
            .filter(|(_, one)| one.lease.is_none_or(|(_, until)| until <= take.now))
            .map(|(id, one)| (one.due, *id))
            .collect();
        pending.sort();
        let count = pending.iter().take(take.most).filter(|one| one.0 <= take.now).count();
        let next_due = self.lease_ends(take).chain(pending.get(count).map(|one| one.0)).min();
        let leased = pending[..count].iter().map(|(_, id)| self.lease(*id, take)).collect();
        Taken { leased, next_due }
    }

    /// When the leases end that the app's deliveries have already.
    fn lease_ends(&self, take: Take) -> impl Iterator<Item = Moment> {
        let pending = self
            .deliveries
            .values()
            .filter(move |one| one.webhook.0 == take.app && one.state == DeliveryState::Pending);
        pending.filter_map(|one| one.lease).map(|(_, end)| end).filter(move |end| *end > take.now)
    }

    fn lease(&mut self, id: Uuid, take: Take) -> Leased {
        self.last_token += 1;
        let delivery = self.deliveries.get_mut(&id).unwrap();
        delivery.lease = Some((self.last_token, take.now + take.lease));
        let Event { webhook, content } = &self.events[&delivery.event];
        let Content { form, content_type, headers, body } = content.clone();
        let body =
            if body.len() < LARGE_BODY_BYTES { Body::Here(body) } else { Body::Stored(body.len()) };
        Leased {
            lease: Lease { delivery: id, token: self.last_token },
            event: delivery.event,
            attempt: delivery.attempts.len() as u32 + 1,
            webhook: self.webhooks[webhook].clone(),
            form,
            content_type,
            headers,
            body,
        }
    }

    fn settle(
        &mut self,
        lease: Lease,
        attempted: Attempted,
        next: Next,
    ) -> Result<Settled, StoreError> {
        if let Some(error) = self.refusals.pop_front() {
            return Err(error);
        }
        let is_current = |one: &&mut Delivery| one.lease.is_some_and(|own| own.0 == lease.token);
        let delivery = self.deliveries.get_mut(&lease.delivery).filter(is_current);
        let Some(delivery) = delivery else { return Ok(Settled::Stale) };
        let webhook = delivery.webhook;
        let now = attempted.started + attempted.took;
        delivery.attempts.push(attempted);
        delivery.lease = None;
        match next {
            Next::Succeeded => delivery.end(DeliveryState::Succeeded, None, now),
            Next::Dead(reason) => delivery.end(DeliveryState::Dead, Some(reason), now),
            Next::Retry(due) => {
                delivery.due = due;
                self.tell(webhook.0, due);
                return Ok(Settled::Recorded);
            }
        }
        let is_pending =
            |one: &Delivery| one.webhook == webhook && one.state == DeliveryState::Pending;
        if !self.deliveries.values().any(is_pending) {
            self.promote(webhook, 1, now);
        }
        Ok(Settled::Recorded)
    }

    fn give_up(&mut self, app: AppId, reason: DeadReason, now: Moment) -> usize {
        let open = |one: &&mut Delivery| one.webhook.0 == app && !one.has_ended();
        let given_up = self.deliveries.values_mut().filter(open);
        given_up.map(|one| one.end(DeliveryState::Dead, Some(reason), now)).count()
    }

    fn meant(&self, filter: &Filter, cursor: Option<Uuid>) -> Vec<Uuid> {
        let is_meant = |id: Uuid, one: &Delivery| {
            let (webhook, begun) = (&self.webhooks[&one.webhook], ids::moment(id));
            let state = match filter.state {
                Some(DeliveryState::Pending) => !one.has_ended(),
                Some(state) => one.state == state,
                None => true,
            };
            state
                && cursor.is_none_or(|cursor| id < cursor)
                && filter.namespace.as_deref().is_none_or(|name| *name == *webhook.namespace)
                && filter.webhook.as_deref().is_none_or(|name| *name == *webhook.name)
                && filter.since.is_none_or(|since| begun >= since)
                && filter.until.is_none_or(|until| begun < until)
        };
        let latest_first = self.deliveries.iter().rev();
        latest_first.filter(|(id, one)| is_meant(**id, one)).map(|(id, _)| *id).collect()
    }

    fn summary(&self, id: Uuid) -> Option<Summary> {
        let one = self.deliveries.get(&id)?;
        Some(Summary {
            id,
            event: one.event,
            generation: one.generation,
            webhook: self.webhooks[&one.webhook].clone(),
            state: one.state,
            reason: one.reason,
            attempts: one.attempts.len() as u32,
            due: (one.state == DeliveryState::Pending).then_some(one.due),
            finished: one.finished,
            last_status: one.attempts.last().and_then(|attempted| attempted.status),
        })
    }

    fn show(&self, id: Uuid) -> Option<Detail> {
        let summary = self.summary(id)?;
        let content = &self.events[&summary.event].content;
        let content_type = content.content_type.as_ref();
        let text =
            |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Some(Detail {
            attempts: self.deliveries[&id].attempts.clone(),
            content_type: content_type.map(text),
            headers: content.headers.clone(),
            form: content.form,
            body_bytes: content.body.len() as u64,
            body: content.body.slice(..content.body.len().min(SHOWN_BODY_BYTES)),
            summary,
        })
    }

    fn replay(&mut self, id: Uuid, fresh: Uuid, now: Moment) -> Option<Uuid> {
        let one = self.deliveries.get(&id)?;
        let (event, webhook) = (one.event, one.webhook);
        let generation = self.last_generation(event) + 1;
        self.begin(fresh, event, generation, webhook, now);
        Some(fresh)
    }

    fn last_generation(&self, event: Uuid) -> u32 {
        let of_event = self.deliveries.values().filter(|one| one.event == event);
        of_event.map(|one| one.generation).max().unwrap_or(0)
    }

    fn replay_all(
        &mut self,
        filter: &Filter,
        cursor: Option<Uuid>,
        limit: usize,
        mut fresh: impl FnMut() -> Uuid,
        now: Moment,
    ) -> Replayed {
        let mut looked_at = self.meant(filter, cursor);
        looked_at.truncate(limit);
        let cursor = looked_at.last().copied().filter(|_| looked_at.len() == limit);
        looked_at.retain(|id| {
            let one = &self.deliveries[id];
            one.has_ended() && one.generation == self.last_generation(one.event)
        });
        for id in &looked_at {
            self.replay(*id, fresh(), now);
        }
        Replayed { count: looked_at.len(), cursor }
    }

    fn undelivered(&self) -> Vec<(AppId, u64)> {
        let mut counts = BTreeMap::new();
        for one in self.deliveries.values().filter(|one| !one.has_ended()) {
            *counts.entry(one.webhook.0).or_default() += 1;
        }
        counts.into_iter().collect()
    }
}

/// An answer that is there.
fn answer<T: Send + 'static>(answer: Result<T, StoreError>) -> StoreFuture<T> {
    Box::pin(std::future::ready(answer))
}

impl Queue for ModelStore {
    fn accept(&self, event: NewEvent) -> StoreFuture<Accepted> {
        answer(self.change(|model| model.accept(event, self.max_bytes)))
    }

    fn take(&self, take: Take) -> StoreFuture<Taken> {
        let taken = self.change(|model| model.take(take));
        let time = *self.take_time.lock().unwrap();
        Box::pin(async move {
            if !time.is_zero() {
                sleep(time).await;
            }
            Ok(taken)
        })
    }

    fn body(&self, event: Uuid) -> StoreFuture<Option<Bytes>> {
        answer(Ok(self.model().events.get(&event).map(|event| event.content.body.clone())))
    }

    fn settle(&self, lease: Lease, attempted: Attempted, next: Next) -> StoreFuture<Settled> {
        answer(self.change(|model| model.settle(lease, attempted, next)))
    }

    fn give_up(&self, app: AppId, reason: DeadReason, now: Moment) -> StoreFuture<usize> {
        answer(Ok(self.change(|model| model.give_up(app, reason, now))))
    }

    fn owners(&self) -> StoreFuture<Vec<Owner>> {
        let owners = self.model().owners.clone().into_iter();
        answer(Ok(owners.map(|(uuid, namespace)| Owner { uuid, namespace }).collect()))
    }

    fn record_owners(&self, owners: Vec<Owner>, _now: Moment) -> StoreFuture<()> {
        let owners = owners.into_iter().map(|owner| (owner.uuid, owner.namespace));
        self.model().owners.extend(owners);
        answer(Ok(()))
    }

    fn prune_webhooks(&self, _: WebhookExists) -> StoreFuture<bool> {
        // It keeps nothing of webhooks beside their deliveries.
        answer(Ok(false))
    }

    fn due_apps(&self) -> Arc<DueApps> {
        self.due_apps.clone()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    fn ids(&self) -> &Ids {
        &self.ids
    }
}

impl History for ModelStore {
    fn scope(&self) -> HistoryScope {
        HistoryScope::ThisReplica
    }

    fn list(
        &self,
        filter: Filter,
        cursor: Option<Uuid>,
        limit: usize,
    ) -> StoreFuture<Vec<Summary>> {
        let model = self.model();
        let ids = model.meant(&filter, cursor).into_iter().take(limit);
        answer(Ok(ids.filter_map(|id| model.summary(id)).collect()))
    }

    fn show(&self, id: Uuid) -> StoreFuture<Option<Detail>> {
        answer(Ok(self.model().show(id)))
    }

    fn replay(&self, id: Uuid, now: Moment) -> StoreFuture<Option<Uuid>> {
        answer(Ok(self.change(|model| model.replay(id, self.ids.next(now), now))))
    }

    fn replay_all(
        &self,
        filter: Filter,
        cursor: Option<Uuid>,
        limit: usize,
        now: Moment,
    ) -> StoreFuture<Replayed> {
        let fresh = || self.ids.next(now);
        answer(Ok(self.change(|model| model.replay_all(&filter, cursor, limit, fresh, now))))
    }

    fn tallies(&self) -> StoreFuture<Vec<(Arc<StoredWebhook>, Tally)>> {
        let tallies = self.model().tallies();
        Box::pin(async { Ok(tallies) })
    }

    fn metrics(&self) -> StoreMetrics {
        let model = self.model();
        let undelivered = model.undelivered();
        let (bytes, max_bytes) = (model.bytes(), self.max_bytes);
        StoreMetrics {
            bytes,
            max_bytes,
            undelivered,
            oldest: model.oldest(),
            ..StoreMetrics::default()
        }
    }
}
