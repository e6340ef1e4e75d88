//! Stores a batch of events in one transaction.

use std::collections::{HashMap, HashSet};

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::codec::{self, Number};
use super::creating::{self, DeliveryInsert, EVENT_BYTES, NewEvents};
use super::failure::DatabaseFailure;
use super::link::{Link, PipelineStep};
use super::refused::DUPLICATES;
use super::statements::{
    BEGIN, CLAIM_KEYS, COMMIT, COUNT, FIRST_EVENTS, INSERT_DELIVERIES, INSERT_EVENTS,
    KEEP_WEBHOOKS, LOCK_FIRST_EVENTS, LOCK_WEBHOOKS, PROMOTE, RECLAIM_KEYS, UPSERT_WEBHOOK,
};
use super::webhooks::{RowCache, WebhookRow};
use crate::moment::Moment;
use crate::resources::Ordering;
use crate::routes::AppId;
use crate::store::repetition::{DeliveryEnd, Repetition};
use crate::store::{Accepted, DuplicateKey, NewEvent, headers, ids};

/// The statements of this file, and of events that are refused.
pub const STATEMENTS: &[&str] = &[
    UPSERT_WEBHOOK,
    KEEP_WEBHOOKS,
    LOCK_WEBHOOKS,
    CLAIM_KEYS,
    RECLAIM_KEYS,
    LOCK_FIRST_EVENTS,
    FIRST_EVENTS,
    INSERT_EVENTS,
    INSERT_DELIVERIES,
    PROMOTE,
    COUNT,
    COMMIT,
    DUPLICATES,
];

/// What became of a batch.
pub struct AcceptedBatch {
    /// What became of each event; `None` if it has to be accepted again, after the others.
    pub answers: Vec<Option<Accepted>>,
    /// Apps with deliveries that became pending.
    pub due: Vec<(AppId, Moment)>,
}

/// Stores the events of a batch, or delivers again what they repeat.
pub async fn accept(
    link: &mut Link,
    rows: &RowCache,
    slot: i16,
    events: &[&NewEvent],
) -> Result<AcceptedBatch, DatabaseFailure> {
    loop {
        let batch = Batch::of(link, rows, events).await?;
        match link.transaction(async |link| batch.run(link, slot).await).await? {
            Some(outcome) => return Ok(outcome),
            // A webhook was pruned since its row was read.
            None => events.iter().for_each(|event| rows.forget(&event.route)),
        }
    }
}

/// A batch of events, with the rows of their webhooks.
struct Batch<'a> {
    events: Vec<(&'a NewEvent, WebhookRow)>,
    copies: Vec<Copy>,
}

/// Whether another event of the batch has the same duplicate key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Copy {
    /// None before it.
    First,
    /// It repeats the event at this place in the batch.
    Of(usize),
    /// An event before it has the key, but it came after its window.
    Later,
}

/// What a batch does with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Store,
    Duplicate(Uuid),
    Replay { first: Uuid, generation: u32 },
}

impl<'a> Batch<'a> {
    async fn of(
        link: &Link,
        rows: &RowCache,
        events: &[&'a NewEvent],
    ) -> Result<Self, DatabaseFailure> {
        let mut batch = Vec::with_capacity(events.len());
        for event in events {
            batch.push((*event, rows.row(link, &event.route).await?));
        }
        let copies = copies(&batch);
        Ok(Self { events: batch, copies })
    }

    /// Runs the transaction; `None` if a webhook does not exist any more.
    async fn run(&self, link: &Link, slot: i16) -> Result<Option<AcceptedBatch>, DatabaseFailure> {
        let keys = DuplicateKeys::of(self.with_own_key());
        let Some(claimed) = self.lock(link, &keys).await? else {
            link.pipeline(&[(COMMIT, &[])]).await?;
            return Ok(None);
        };
        let decisions = self.decide(link, &claimed).await?;
        let (events, deliveries) = self.create(&decisions);
        let due = creating::create_and_commit(link, slot, &events, &deliveries).await?;
        Ok(Some(AcceptedBatch { answers: self.answers(&decisions), due }))
    }

    /// The events whose duplicate key no other event of the batch has before them.
    fn with_own_key(&self) -> impl Iterator<Item = (i64, DuplicateKey, &'a NewEvent)> {
        let first = self.events.iter().zip(&self.copies).filter(|(_, copy)| **copy == Copy::First);
        first.filter_map(|((event, row), _)| Some((row.key, event.duplicate?, *event)))
    }

    /// Begins, locks the webhooks and records new duplicate keys. Returns the events that they
    /// belong to; `None` if a webhook does not exist.
    async fn lock(
        &self,
        link: &Link,
        keys: &DuplicateKeys<'_>,
    ) -> Result<Option<HashSet<Uuid>>, DatabaseFailure> {
        let (mut kept, mut locked) = (Vec::new(), Vec::new());
        for (event, row) in &self.events {
            let is_ordered = row.is_ordered || is_fifo(event);
            if is_ordered { &mut locked } else { &mut kept }.push(row.key);
        }
        for keys in [&mut kept, &mut locked] {
            keys.sort_unstable();
            keys.dedup();
        }
        kept.retain(|key| locked.binary_search(key).is_err());
        let values = keys.values();
        let (kept_values, locked_values): ([&(dyn ToSql + Sync); 1], [_; 1]) =
            ([&kept], [&locked as &(dyn ToSql + Sync)]);
        let mut steps: Vec<PipelineStep<'_>> = vec![(BEGIN, &[])];
        if !kept.is_empty() {
            steps.push((KEEP_WEBHOOKS, &kept_values));
        }
        if !locked.is_empty() {
            steps.push((LOCK_WEBHOOKS, &locked_values));
        }
        let webhook_steps = steps.len();
        if !keys.is_empty() {
            steps.push((CLAIM_KEYS, &values));
        }
        let answers = link.pipeline(&steps).await?;
        let found: usize = answers[1..webhook_steps].iter().map(Vec::len).sum();
        if found < kept.len() + locked.len() {
            return Ok(None);
        }
        let claimed = answers.get(webhook_steps).into_iter().flatten();
        Ok(Some(claimed.map(|row| row.get(0)).collect()))
    }

    /// Decides about each event that is the first one of the batch with its key.
    async fn decide(
        &self,
        link: &Link,
        claimed: &HashSet<Uuid>,
    ) -> Result<Vec<Decision>, DatabaseFailure> {
        let mut decisions = vec![Decision::Store; self.events.len()];
        let is_known = |place: &usize| {
            let (event, _) = &self.events[*place];
            let has_key = event.duplicate.is_some() && self.copies[*place] == Copy::First;
            has_key && !claimed.contains(&event.id)
        };
        let known: Vec<usize> = (0..self.events.len()).filter(is_known).collect();
        if known.is_empty() {
            return Ok(decisions);
        }
        let mut stored = Vec::new();
        for (place, decision) in known.iter().zip(self.repetitions(link, &known).await?) {
            decisions[*place] = decision;
            if decision == Decision::Store {
                stored.push(*place);
            }
        }
        if !stored.is_empty() {
            let again = stored.iter().filter_map(|place| {
                let (event, row) = &self.events[*place];
                Some((row.key, event.duplicate?, *event))
            });
            let keys = DuplicateKeys::of(again);
            link.query(RECLAIM_KEYS, &keys.values()).await?;
        }
        Ok(decisions)
    }

    /// Decides about events with known duplicate keys.
    async fn repetitions(
        &self,
        link: &Link,
        known: &[usize],
    ) -> Result<Vec<Decision>, DatabaseFailure> {
        let of = |place: &usize| {
            let (event, row) = &self.events[*place];
            event.duplicate.map(|key| (row.key, key))
        };
        let keys: Vec<(i64, DuplicateKey)> = known.iter().filter_map(of).collect();
        let webhooks: Vec<i64> = keys.iter().map(|(webhook, _)| *webhook).collect();
        let hashes: Vec<&[u8]> = keys.iter().map(|(_, key)| &key.hash[..]).collect();
        link.query(LOCK_FIRST_EVENTS, &[&webhooks, &hashes]).await?;
        let rows = link.query(FIRST_EVENTS, &[&webhooks, &hashes]).await?;
        let mut firsts: Vec<(Uuid, Vec<DeliveryEnd>, u32)> =
            vec![(Uuid::nil(), Vec::new(), 0); keys.len()];
        for row in rows {
            let place = usize::try_from(row.get::<_, i64>(0) - 1).unwrap_or(usize::MAX);
            let Some((event, ends, generation)) = firsts.get_mut(place) else { continue };
            *event = row.get(1);
            ends.extend(codec::delivery_end(&row, 2));
            let last = row.get::<_, Option<i32>>(4).and_then(|last| u32::try_from(last).ok());
            *generation = (*generation).max(last.unwrap_or(0));
        }
        let decide = |((_, key), (first, ends, generation)): (&(i64, DuplicateKey), _)| {
            let ends: Vec<DeliveryEnd> = ends;
            let generation: u32 = generation;
            match Repetition::of(&ends, key.repeats) {
                Repetition::New => Decision::Store,
                Repetition::Duplicate => Decision::Duplicate(first),
                Repetition::Replay => {
                    Decision::Replay { first, generation: generation.saturating_add(1) }
                }
            }
        };
        Ok(keys.iter().zip(firsts).map(decide).collect())
    }

    /// The events to be stored, and the deliveries to be created.
    fn create(&self, decisions: &[Decision]) -> (NewEvents<'a>, Vec<DeliveryInsert>) {
        let (mut events, mut deliveries) = (NewEvents::default(), Vec::new());
        for (place, (event, row)) in self.events.iter().enumerate() {
            if self.copies[place] != Copy::First {
                continue;
            }
            let (first, generation, event_bytes) = match decisions[place] {
                Decision::Duplicate(_) => continue,
                Decision::Replay { first, generation } => (first, generation, 0),
                Decision::Store => (event.id, 1, store(&mut events, event, row.key)),
            };
            deliveries.push(DeliveryInsert {
                id: event.id,
                event: first,
                generation,
                app: event.route.app.id,
                webhook: row.key,
                is_fifo: is_fifo(event),
                is_ordered: row.is_ordered,
                event_bytes,
                now: event.now,
            });
        }
        (events, deliveries)
    }

    fn answers(&self, decisions: &[Decision]) -> Vec<Option<Accepted>> {
        let answer = |(place, copy): (usize, &Copy)| match (copy, decisions[place]) {
            (Copy::First, Decision::Store) => Some(Accepted::Stored),
            (Copy::First, Decision::Duplicate(first)) => Some(Accepted::Duplicate(first)),
            (Copy::First, Decision::Replay { first, .. }) => Some(Accepted::Replayed(first)),
            (Copy::Of(first), _) => self.answer_copy(*first, place, decisions[*first]),
            (Copy::Later, _) => None,
        };
        self.copies.iter().enumerate().map(answer).collect()
    }

    /// The answer to a copy of an event of the batch. What that one does not decide is decided by
    /// the next batch.
    fn answer_copy(&self, first: usize, copy: usize, decision: Decision) -> Option<Accepted> {
        let repeats = |place: usize| self.events[place].0.duplicate.map(|key| key.repeats);
        match decision {
            Decision::Store => Some(Accepted::Duplicate(self.events[first].0.id)),
            Decision::Replay { first, .. } => Some(Accepted::Duplicate(first)),
            Decision::Duplicate(event) if repeats(first) == repeats(copy) => {
                Some(Accepted::Duplicate(event))
            }
            Decision::Duplicate(_) => None,
        }
    }
}

fn is_fifo(event: &NewEvent) -> bool {
    event.route.binding.delivery.ordering == Ordering::Fifo
}

/// Adds an event to the columns. Returns its bytes.
fn store<'a>(events: &mut NewEvents<'a>, event: &'a NewEvent, webhook: i64) -> i64 {
    let content = &event.content;
    let headers = headers::to_bytes(&content.headers);
    let bytes = EVENT_BYTES + (content.body.len() + headers.len()) as i64;
    events.ids.push(event.id);
    events.webhooks.push(webhook);
    events.forms.push(content.form.to_number());
    events.content_types.push(content.content_type.as_ref().map(|value| value.as_bytes()));
    events.headers.push(headers);
    events.bodies.push(&content.body);
    bytes
}

/// Finds the copies within a batch: the database rejects a statement that meets one key twice.
fn copies(events: &[(&NewEvent, WebhookRow)]) -> Vec<Copy> {
    let mut firsts: HashMap<(i64, [u8; 16]), usize> = HashMap::new();
    let mut copies = Vec::with_capacity(events.len());
    for (place, (event, row)) in events.iter().enumerate() {
        let Some(key) = event.duplicate else {
            copies.push(Copy::First);
            continue;
        };
        let first = *firsts.entry((row.key, key.hash)).or_insert(place);
        copies.push(match first == place {
            true => Copy::First,
            false if is_within(events[first].0, event, key) => Copy::Of(first),
            false => Copy::Later,
        });
    }
    copies
}

fn is_within(first: &NewEvent, copy: &NewEvent, key: DuplicateKey) -> bool {
    let until = first.duplicate.map_or(first.now, |first_key| first.now + first_key.window);
    until > copy.now && ids::moment(first.id) + key.window > copy.now
}

/// Duplicate keys as columns, in the order of their rows.
#[derive(Default)]
struct DuplicateKeys<'a> {
    webhooks: Vec<i64>,
    hashes: Vec<&'a [u8]>,
    events: Vec<Uuid>,
    since: Vec<i64>,
    seen: Vec<i64>,
    until: Vec<i64>,
}

impl<'a> DuplicateKeys<'a> {
    fn of(events: impl Iterator<Item = (i64, DuplicateKey, &'a NewEvent)>) -> Self {
        let mut keys = Self::default();
        for (webhook, key, event) in events {
            let Some(DuplicateKey { hash, .. }) = &event.duplicate else { continue };
            keys.webhooks.push(webhook);
            keys.hashes.push(hash);
            keys.events.push(event.id);
            keys.since.push(codec::millis(ids::moment(event.id)));
            keys.seen.push(codec::millis(event.now));
            keys.until.push(codec::millis(event.now + key.window));
        }
        keys
    }

    fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    fn values(&self) -> [&(dyn ToSql + Sync); 6] {
        [&self.webhooks, &self.hashes, &self.events, &self.since, &self.seen, &self.until]
    }
}
