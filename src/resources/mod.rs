//! The custom resources of `lenra.io/v1alpha1`: their schema, their CEL rules, their conditions.

pub mod conditions;
pub mod crds;
mod delivery;
mod schema;
pub mod validate;
pub mod verify;
pub mod webhook;
pub mod webhook_app;

pub use delivery::{AppDelivery, Dedup, Delivery, DeliveryMode, Ordering, Retry};
pub use webhook::{DeliveryCounts, RateLimit, Webhook, WebhookSpec, WebhookStatus};
pub use webhook_app::{
    Envelope, Listener, Scheme, ServiceReference, WebhookApp, WebhookAppSpec, WebhookAppStatus,
};

/// The field manager of every write that the operator makes.
pub const FIELD_MANAGER: &str = "webhook-operator";

/// The operator's own ceiling of a trigger's body, in bytes (32 MiB).
pub const MAX_BODY_BYTES: i64 = 32 * 1024 * 1024;

/// The ceiling of a trigger's body where a webhook names none, in bytes.
pub const DEFAULT_MAX_BODY_BYTES: i64 = 8_000_000;
