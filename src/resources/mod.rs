//! The custom resources of `lenra.io/v1alpha1`: schema, CEL rules and conditions.

pub mod challenge;
pub mod conditions;
pub mod crds;
mod delivery;
pub mod reason;
mod response;
mod schema;
pub mod validate;
pub mod verify;
pub mod webhook;
pub mod webhook_app;

pub use delivery::{AppDelivery, Dedup, Delivery, DeliveryMode, Ordering, Retry};
pub use response::{ProbeMethod, Response, ResponseSource};
pub use webhook::{
    BodyConversion, BodyType, DeliveryCounts, RateLimit, Webhook, WebhookSpec, WebhookStatus,
};
pub use webhook_app::{
    Envelope, Listener, Scheme, ServiceReference, WebhookApp, WebhookAppSpec, WebhookAppStatus,
};

/// Field manager of all writes of the operator.
pub const FIELD_MANAGER: &str = "webhook-operator";

/// Upper limit of a trigger's body, in bytes (32 MiB).
pub const MAX_BODY_BYTES: i64 = 32 * 1024 * 1024;

/// Default limit of a trigger's body, in bytes.
pub const DEFAULT_MAX_BODY_BYTES: i64 = 8_000_000;

/// Whether serialization leaves out a flag that is not set.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_false(value: &bool) -> bool {
    !value
}
