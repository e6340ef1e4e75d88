//! What a webhook's spec says about the way of its events to the listener.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use crate::expression::Expression;
use crate::resources::{DeliveryMode, Ordering};
use crate::retry::Policy;

/// How events of a webhook reach the listener.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delivery {
    /// When the sender gets its answer.
    pub mode: DeliveryMode,
    /// Whether events may overtake each other.
    pub ordering: Ordering,
    /// When an attempt that failed is made again; as the app says where the webhook says nothing.
    pub retry: Option<Arc<Policy>>,
    /// What two events have in common that are one event sent twice.
    pub dedup: Option<Box<Dedup>>,
}

/// How a second copy of an event is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Dedup {
    /// What is compared.
    pub by: DedupBy,
    /// For how long after the first copy.
    pub window: Duration,
}

/// What of an event is compared.
#[derive(Clone, Debug, PartialEq)]
pub enum DedupBy {
    /// The delivery id of the provider that verified it.
    Provider,
    /// A header.
    Header(HeaderName),
    /// An expression that gives a text.
    Key(Arc<Expression>),
}
