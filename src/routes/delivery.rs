//! The delivery options of a webhook.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use crate::expression::Expression;
use crate::resources::{DeliveryMode, Ordering};
use crate::retry::Policy;

/// The delivery options of a webhook.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delivery {
    /// Whether the response waits for the listener.
    pub mode: DeliveryMode,
    /// Whether events may overtake each other.
    pub ordering: Ordering,
    /// The retry policy; the app's if unset.
    pub retry: Option<Arc<Policy>>,
    /// The detection of duplicate events.
    pub dedup: Option<Box<Dedup>>,
}

/// The detection of duplicate events.
#[derive(Clone, Debug, PartialEq)]
pub struct Dedup {
    /// The key that duplicates share.
    pub by: DedupBy,
    /// The time after the first event in which duplicates are detected.
    pub window: Duration,
}

/// The key that duplicates share.
#[derive(Clone, Debug, PartialEq)]
pub enum DedupBy {
    /// The delivery id of the provider that verified the event.
    Provider,
    /// A header.
    Header(HeaderName),
    /// The result of an expression.
    Key(Arc<Expression>),
}
