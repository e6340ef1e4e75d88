//! `Webhook`: one inbound webhook of an app.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::delivery::{Dedup, Delivery};
use super::verify::VerifyEntry;
use super::{DEFAULT_MAX_BODY_BYTES, schema};

/// One inbound webhook: the action it triggers in its app, and the props it is bound to.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "lenra.io",
    version = "v1alpha1",
    kind = "Webhook",
    plural = "webhooks",
    namespaced,
    status = "WebhookStatus",
    shortname = "wh",
    category = "lenra",
    derive = "PartialEq",
    doc = "One inbound webhook: the action it triggers in its app, and the props it is bound to.",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Action","type":"string","jsonPath":".spec.action"}"#,
    printcolumn = r#"{"name":"App","type":"string","jsonPath":".spec.app"}"#,
    printcolumn = r#"{"name":"Last Delivery","type":"date","jsonPath":".status.lastDelivery"}"#,
    printcolumn = r#"{"name":"Pending","type":"integer","priority":1,"jsonPath":".status.deliveries.pending"}"#,
    printcolumn = r#"{"name":"Dead","type":"integer","priority":1,"jsonPath":".status.deliveries.dead"}"#,
    printcolumn = r#"{"name":"URL","type":"string","priority":1,"jsonPath":".status.url"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.uuid) == has(oldSelf.uuid) && (!has(self.uuid) || self.uuid == oldSelf.uuid)")
        .message("uuid is immutable: it is part of the webhook's URL"),
    validation = Rule::new("self.app == oldSelf.app")
        .message("app is immutable: make a new webhook for another app"),
    validation = Rule::new("!has(self.dedup) || !has(self.delivery) || self.delivery.mode != 'Sync'")
        .message("dedup needs delivery.mode Queued: with Sync no event is stored to compare with")
)]
pub struct WebhookSpec {
    /// The `WebhookApp` of the same namespace that this webhook belongs to. Immutable.
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::SUBDOMAIN_PATTERN))]
    pub app: String,
    /// What the listener is asked to do.
    #[schemars(length(min = 1, max = 255))]
    pub action: String,
    /// Fixed data of this webhook, given to the listener beside each event; never interpreted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any_object")]
    pub props: Option<Map<String, Value>>,
    /// An existing UUID to adopt, in lower case. Without it the operator derives one. Immutable. With the
    /// chart's admission policy, setting it needs the verb `adopt` on this resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<String>", length(max = 36), regex(pattern = schema::UUID_PATTERN))]
    pub uuid: Option<String>,
    /// A number that the app API echoes as `user_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<i64>,
    /// While true, triggers are answered 503.
    #[serde(default)]
    pub suspend: bool,
    /// The largest body of a trigger, in bytes; at most 32 MiB.
    #[serde(default = "default_max_body_bytes")]
    #[schemars(range(min = 1, max = 33_554_432))]
    pub max_body_bytes: i64,
    /// Headers of the trigger that are passed on to the listener.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::forward_headers")]
    pub forward_headers: Vec<String>,
    /// A CEL expression over `event`, `headers`, `props` and `query`, true of the events that are
    /// passed on: `event.type == "paid"`. The others are answered 200 and let go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<String>", length(min = 1, max = 4096))]
    pub filter: Option<String>,
    /// Networks that triggers have to come from; without any they may come from everywhere. They
    /// are asked for in addition to all else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::source_ranges")]
    pub source_ranges: Vec<String>,
    /// How a trigger may prove who sent it; one entry that accepts is enough. Without entries
    /// whoever knows the URL may send.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub verify: Vec<VerifyEntry>,
    /// Origins of CloudEvents senders that are told by `OPTIONS` that they may send; `*` is any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::origins")]
    pub cloud_events_origins: Vec<String>,
    /// How many triggers are taken; each replica of the operator counts by itself. Triggers beyond
    /// it are answered 429.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<RateLimit>")]
    pub rate_limit: Option<RateLimit>,
    /// What makes two events the same one, sent twice: the second is answered with the id of the first.
    /// By default it is the delivery id of the provider that `verify` names, for 24h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<Dedup>")]
    pub dedup: Option<Dedup>,
    /// How events reach the listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<Delivery>")]
    pub delivery: Option<Delivery>,
}

/// How many triggers a webhook takes.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Triggers a second, over time.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub requests_per_second: i32,
    /// Triggers at once, after a time with few; as many as `requestsPerSecond` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<i32>", range(min = 1, max = 1_000_000))]
    pub burst: Option<i32>,
}

/// What the operator observed of a `Webhook`.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct WebhookStatus {
    /// The UUID in the webhook's URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// The trigger URL. Who reads it can trigger the webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When the listener last took an event of this webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_delivery: Option<Time>,
    /// What became of its events; absent while none was queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliveries: Option<DeliveryCounts>,
    /// The generation that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling` and `Stalled`, as kstatus reads them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// What became of the events that a webhook queued.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryCounts {
    /// Deliveries that the listener ever took; the number is kept with the queue.
    #[serde(default)]
    pub succeeded: i64,
    /// Deliveries that were given up and are kept: they can be replayed.
    #[serde(default)]
    pub dead: i64,
    /// Deliveries that have not ended.
    #[serde(default)]
    pub pending: i64,
}

fn default_max_body_bytes() -> i64 {
    DEFAULT_MAX_BODY_BYTES
}
