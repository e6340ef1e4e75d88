//! `Webhook`: one inbound webhook of an app.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::delivery::{Dedup, Delivery};
use super::response::{ProbeMethod, Response};
use super::schema;
use super::verify::VerifyEntry;

/// An inbound webhook of an app.
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
    doc = "An inbound webhook of an app.",
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
        .message("app is immutable: create a new webhook for another app"),
    validation = Rule::new("!has(self.dedup) || !has(self.delivery) || self.delivery.mode != 'Sync'")
        .message("dedup needs delivery.mode Queued: Sync stores no events to compare with"),
    validation = Rule::new("!has(self.response) || !has(self.response.from) || (has(self.delivery) && self.delivery.mode == 'Sync')")
        .message("response.from needs delivery.mode Sync: with Queued the listener is called after the response")
)]
pub struct WebhookSpec {
    /// The `WebhookApp` of the same namespace that this webhook belongs to. Immutable.
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::SUBDOMAIN_PATTERN))]
    pub app: String,
    /// Action name passed to the listener.
    #[schemars(length(min = 1, max = 255))]
    pub action: String,
    /// Fixed data of this webhook, passed to the listener with each event; never interpreted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any_object")]
    pub props: Option<Map<String, Value>>,
    /// Existing UUID to adopt, in lower case. By default the operator derives one. Immutable. With
    /// the chart's admission policy, setting it needs the verb `adopt` on this resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<String>", length(max = 36), regex(pattern = schema::UUID_PATTERN))]
    pub uuid: Option<String>,
    /// Number that the app API returns as `user_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<i64>,
    /// While true, triggers get 503.
    #[serde(default)]
    pub suspend: bool,
    /// Largest body of a trigger, in bytes, after decoding; at most 32 MiB. Defaults to 8000000, or
    /// to 25 MiB with `GitHub` in `verify`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<i64>", range(min = 1, max = 33_554_432))]
    pub max_body_bytes: Option<i64>,
    /// How the body of a trigger becomes `event`. By default, its content type and the provider in
    /// `verify` decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<BodyConversion>")]
    pub body: Option<BodyConversion>,
    /// Headers of the trigger that are forwarded to the listener. `X-Shop-*` forwards all whose
    /// name begins with `X-Shop-`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::forward_headers")]
    pub forward_headers: Vec<String>,
    /// Whether the listener gets the raw query string of the trigger, as the header `Webhook-Query`.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub forward_query: bool,
    /// CEL expression over `event`, `headers`, `props`, `query` and `now` that selects the events to
    /// deliver, such as `event.type == "paid"`. Triggers of other events get 200, and the event is
    /// dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<String>", length(min = 1, max = 4096))]
    pub filter: Option<String>,
    /// CEL expression over `event`, `headers`, `props`, `query` and `now` that gives an object. The
    /// listener gets it in place of the event, such as `{"id": event.id}`. The stored event is what
    /// was sent. Not possible with the app's envelope `Raw`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<String>", length(min = 1, max = 4096))]
    pub transform: Option<String>,
    /// Networks that triggers are accepted from; empty accepts any address. Applies in addition to
    /// `verify`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::source_ranges")]
    pub source_ranges: Vec<String>,
    /// How the sender of a trigger is authenticated; one entry that accepts is enough. Without
    /// entries, anyone who knows the URL can send triggers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub verify: Vec<VerifyEntry>,
    /// Origins of CloudEvents senders that an `OPTIONS` request permits to send; `*` permits any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::origins")]
    pub cloud_events_origins: Vec<String>,
    /// Rate limit of triggers, per replica of the operator. Triggers above it get 429.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<RateLimit>")]
    pub rate_limit: Option<RateLimit>,
    /// How repeated events are recognized: a duplicate gets the id of the first event and is not
    /// delivered again. Defaults to the delivery id of the provider in `verify`, for 24h;
    /// `{enabled: false}` delivers repetitions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<Dedup>")]
    pub dedup: Option<Dedup>,
    /// How events are delivered to the listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<Delivery>")]
    pub delivery: Option<Delivery>,
    /// The response to an accepted trigger, for senders that need a particular one. Defaults to that
    /// of the provider in `verify`, or to 202 (`Queued`) or 200 (`Sync`) with JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<Response>")]
    pub response: Option<Response>,
    /// Methods of requests that the sender makes before it saves the URL. They get 200 without a
    /// body, and there is no event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::probes")]
    pub probes: Vec<ProbeMethod>,
}

/// How the body of a trigger becomes `event`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.formField) || !has(self.__as__) || self.__as__ == 'Auto'")
        .message("formField needs as Auto, which is the default")
)]
pub struct BodyConversion {
    /// What the body is; `Auto` goes by its content type.
    #[serde(default, rename = "as")]
    pub as_: BodyType,
    /// Field of urlencoded and multipart forms whose JSON object is the event, such as `payload`.
    /// Forms without it are rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<String>", length(min = 1, max = 128))]
    pub form_field: Option<String>,
}

/// The type of a body.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyType {
    /// By content type.
    #[default]
    Auto,
    /// JSON, whatever the content type says.
    Json,
    /// Text: `{"_text": "..."}`.
    Text,
    /// Bytes: `{"_base64": "..."}`.
    Binary,
}

/// Rate limit of a webhook.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Sustained rate, in triggers per second.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub requests_per_second: i32,
    /// Number of triggers that may arrive at once. Defaults to `requestsPerSecond`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<i32>", range(min = 1, max = 1_000_000))]
    pub burst: Option<i32>,
}

/// The observed state of a `Webhook`.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct WebhookStatus {
    /// The UUID in the webhook's URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Trigger URL. Anyone who can read it can trigger the webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When the listener last accepted an event of this webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_delivery: Option<Time>,
    /// Number of deliveries by state; absent until an event is queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliveries: Option<DeliveryCounts>,
    /// Generation that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The kstatus conditions `Ready`, `Reconciling` and `Stalled`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// Number of deliveries of a webhook by state.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryCounts {
    /// Deliveries that the listener ever accepted; the count is stored with the queue.
    #[serde(default)]
    pub succeeded: i64,
    /// Deliveries that failed for good and are kept; they can be replayed.
    #[serde(default)]
    pub dead: i64,
    /// Deliveries that have not ended yet.
    #[serde(default)]
    pub pending: i64,
}
