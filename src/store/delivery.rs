//! The life of a delivery: leased, attempted, settled.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use uuid::Uuid;

use super::StoredWebhook;
use crate::event::Form;
use crate::moment::Moment;
use crate::routes::AppId;

/// Longest body that is read together with its delivery, in bytes. Longer ones are read on demand,
/// so that a batch of leases takes little memory.
pub const INLINE_BODY_BYTES: usize = 16 * 1024;

/// State of a delivery. Its words, in lower case, are those of the API, the CLI and the docs.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::VariantArray,
)]
#[strum(serialize_all = "lowercase")]
pub enum DeliveryState {
    /// It is attempted when it is due, until it succeeds or dies.
    Pending,
    /// An earlier delivery of its `ordering: Fifo` webhook has not finished.
    Waiting,
    /// The listener accepted it.
    Succeeded,
    /// It is not attempted again, but can be replayed.
    Dead,
}

impl DeliveryState {
    /// The word for this state, such as `dead`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Which deliveries to lease.
#[derive(Clone, Copy, Debug)]
pub struct Take {
    /// The app to lease deliveries of.
    pub app: AppId,
    /// Maximum number of deliveries.
    pub most: usize,
    /// Maximum number of leases of the app, over all replicas that share the store. An engine that
    /// one process uses may leave this to its caller, who knows of all leases.
    pub concurrency: usize,
    /// The current time. Deliveries due by then are leased.
    pub now: Moment,
    /// Duration of the leases. It must exceed the longest possible attempt.
    pub lease: Duration,
}

/// Leased deliveries, by due time.
#[derive(Debug, Default)]
pub struct Taken {
    /// The deliveries, each leased for one attempt.
    pub leased: Vec<Leased>,
    /// When the app's next delivery can be leased: it becomes due, or its lease by an earlier `take`
    /// ends. May be in the past, if more are due than were asked for.
    pub next_due: Option<Moment>,
}

/// The right to settle a delivery until the lease expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The delivery's id.
    pub delivery: Uuid,
    /// Distinguishes this lease from other leases of the same delivery.
    pub token: u64,
}

/// A delivery that is leased for one attempt.
#[derive(Clone, Debug)]
pub struct Leased {
    /// The lease to settle the delivery with.
    pub lease: Lease,
    /// The event's id. All deliveries of an event share it.
    pub event: Uuid,
    /// The number of the attempt, starting at 1.
    pub attempt: u32,
    /// The latest snapshot of the webhook.
    pub webhook: Arc<StoredWebhook>,
    /// How the body is converted to the JSON of `event`.
    pub form: Form,
    /// The value of the trigger's `Content-Type`.
    pub content_type: Option<HeaderValue>,
    /// The headers that are passed on to the listener, and `traceparent`.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
}

impl Leased {
    /// When the event was accepted, or when the replay was requested.
    pub fn begun(&self) -> Moment {
        super::ids::moment(self.lease.delivery)
    }
}

/// The body of a leased delivery.
#[derive(Clone, Debug)]
pub enum Body {
    /// A body of at most [`INLINE_BODY_BYTES`], read together with the delivery.
    Here(Bytes),
    /// The length in bytes of a longer body. [`super::Queue::body`] reads it on demand.
    Stored(usize),
}

/// A finished attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempted {
    /// Number of the attempt, starting at 1.
    pub number: u32,
    /// When the attempt started.
    pub started: Moment,
    /// Duration of the attempt.
    pub took: Duration,
    /// Status code of the listener's response, if there was one.
    pub status: Option<u16>,
    /// The error message; `None` if the attempt succeeded.
    pub error: Option<Box<str>>,
    /// The first 1 KiB of the response body; empty if the attempt succeeded.
    pub answer: Bytes,
}

/// Whether an attempt was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The attempt was recorded.
    Recorded,
    /// Nothing was changed, as the lease is no longer valid: the delivery was leased again, or has
    /// finished.
    Stale,
}
