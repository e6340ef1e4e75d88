//! What is kept of a trigger, so that it can be carried to its listener later, as often as it takes.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use uuid::Uuid;

use crate::moment::Moment;
use crate::resources::Ordering;
use crate::retry::Policy;
use crate::routes::{AppId, Route};

/// An event to be stored.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Made by [`super::Ids`]; the first delivery of the event has the same id.
    pub id: Uuid,
    /// The webhook that was triggered.
    pub route: Arc<Route>,
    /// What was sent.
    pub content: Content,
    /// What makes a second event the same as this one.
    pub duplicate: Option<DuplicateKey>,
    /// When the event came.
    pub now: Moment,
}

/// What two events have in common that are one event sent twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DuplicateKey {
    /// A hash of what the webhook looks at (SHA-256, the first half).
    pub hash: [u8; 16],
    /// How long before the second one the first one may have come.
    pub window: std::time::Duration,
}

/// What was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// How the body becomes the JSON of `event`.
    pub form: Form,
    /// The value of the trigger's `Content-Type`.
    pub content_type: Option<HeaderValue>,
    /// What of its headers is passed on, and `traceparent`.
    pub headers: HeaderMap,
    /// The body, as it was sent.
    pub body: Bytes,
}

/// How a stored body becomes the JSON of `event`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// It is JSON, and was checked when it came: it need not be again.
    Json,
    /// It is converted by its content type.
    Converted,
}

/// A webhook as the store last saw it: what is left of it when its resource is gone.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredWebhook {
    /// The app, within its namespace.
    pub app: AppId,
    /// The webhook's UUID.
    pub uuid: Uuid,
    /// The namespace of both.
    pub namespace: Arc<str>,
    /// The app's resource name.
    pub app_name: Arc<str>,
    /// The webhook's resource name.
    pub name: Arc<str>,
    /// `spec.action`.
    pub action: Arc<str>,
    /// `spec.props` as JSON text.
    pub props: Bytes,
    /// Whether its events may overtake each other.
    pub ordering: Ordering,
    /// The webhook's own `spec.delivery.retry`.
    pub retry: Option<Arc<Policy>>,
}

impl StoredWebhook {
    /// A webhook as its route is now.
    pub fn of(route: &Route) -> Self {
        Self {
            app: route.app.id,
            uuid: route.webhook,
            namespace: route.app.namespace.clone(),
            app_name: route.app.name.clone(),
            name: route.name.clone(),
            action: (*route.binding.action).into(),
            props: route.binding.props.clone(),
            ordering: route.binding.delivery.ordering,
            retry: route.binding.delivery.retry.clone(),
        }
    }
}
