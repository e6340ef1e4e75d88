//! A delivery on its way: leased, attempted, settled.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use uuid::Uuid;

use super::{Form, StoredWebhook};
use crate::moment::Moment;
use crate::routes::AppId;

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It is attempted when it is due, again and again.
    Pending,
    /// Of a webhook with `ordering: Fifo`: one before it has not ended.
    Waiting,
    /// The listener took it.
    Succeeded,
    /// It was given up; it can be replayed.
    Dead,
}

/// Which deliveries to lease.
#[derive(Clone, Copy, Debug)]
pub struct Take {
    /// Of which app.
    pub app: AppId,
    /// How many at most.
    pub most: usize,
    /// What is due by now.
    pub now: Moment,
    /// For how long they are nobody else's: longer than an attempt may take.
    pub lease: Duration,
}

/// Deliveries that were leased, in the order in which they became due.
#[derive(Debug, Default)]
pub struct Taken {
    /// Each for one attempt.
    pub leased: Vec<Leased>,
    /// When the next one of the app is due that is not leased; may be past.
    pub next_due: Option<Moment>,
}

/// The right to settle a delivery, until its lease ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The delivery's id.
    pub delivery: Uuid,
    /// Tells this lease from every other one of the same delivery.
    pub token: u64,
}

/// A delivery, for one attempt.
#[derive(Clone, Debug)]
pub struct Leased {
    /// With which it is settled.
    pub lease: Lease,
    /// The event's id: the same for all its deliveries.
    pub event: Uuid,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// Its webhook, as it was last seen.
    pub webhook: Arc<StoredWebhook>,
    /// How the body becomes the JSON of `event`.
    pub form: Form,
    /// The value of the trigger's `Content-Type`.
    pub content_type: Option<HeaderValue>,
    /// What of its headers is passed on, and `traceparent`.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
}

impl Leased {
    /// When it was accepted, or replayed.
    pub fn begun(&self) -> Moment {
        super::ids::moment(self.lease.delivery)
    }
}

/// The body of a leased delivery.
#[derive(Clone, Debug)]
pub enum Body {
    /// It is small, and here.
    Here(Bytes),
    /// It is large: [`super::Store::body`] reads it when it is needed. Its length in bytes.
    Stored(usize),
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempted {
    /// Its number, from 1.
    pub number: u32,
    /// When it began.
    pub started: Moment,
    /// How long it took.
    pub took: Duration,
    /// The status that the listener answered, if it did.
    pub status: Option<u16>,
    /// What went wrong, in words; nothing did when it succeeded.
    pub error: Option<Box<str>>,
    /// The beginning of the body of an answer that was no success; at most 1 KiB.
    pub answer: Bytes,
}

/// Whether an attempt was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It was.
    Recorded,
    /// The lease had ended, and the delivery may have been leased anew or settled: nothing was changed.
    Stale,
}
