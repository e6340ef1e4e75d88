//! `spec.delivery` of both kinds, and `spec.dedup`.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// How the events of a webhook are delivered to the listener.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.mode != 'Sync' || self.ordering != 'Fifo'")
        .message("ordering Fifo needs mode Queued: Sync queues nothing"),
    validation = Rule::new("self.mode != 'Sync' || !has(self.retry)")
        .message("retry needs mode Queued: Sync makes one attempt")
)]
pub struct Delivery {
    /// `Queued`: triggers get 202 once the event is on stable storage; the listener is called
    /// afterwards, with retries. `Sync`: the listener is called once, while the sender waits.
    #[serde(default)]
    pub mode: DeliveryMode,
    /// `Parallel`: events may overtake each other. `Fifo`: each event waits until the one before it
    /// has succeeded or is dead.
    #[serde(default)]
    pub ordering: Ordering,
    /// When failed attempts are retried. Replaces the app's `retry` as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<Retry>")]
    pub retry: Option<Retry>,
}

/// When the sender gets its response.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeliveryMode {
    /// When the event is on stable storage.
    #[default]
    Queued,
    /// When the listener has answered.
    Sync,
}

/// Whether the events of a webhook may overtake each other.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ordering {
    /// Events may overtake each other.
    #[default]
    Parallel,
    /// Each event waits until the one before it has succeeded or is dead.
    Fifo,
}

/// Delivery settings for the queued events of all webhooks of an app.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AppDelivery {
    /// Maximum number of concurrent attempts, per replica of the operator.
    #[serde(default = "default_concurrency")]
    #[schemars(range(min = 1, max = 256))]
    pub concurrency: i32,
    /// When failed attempts are retried, for webhooks without a `retry` of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<Retry>")]
    pub retry: Option<Retry>,
}

impl Default for AppDelivery {
    fn default() -> Self {
        Self { concurrency: default_concurrency(), retry: None }
    }
}

/// When failed attempts are retried: after the intervals of a schedule, or with exponential
/// backoff. The default is the schedule 5s, 5m, 30m, 2h, 5h, 10h, 10h.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.schedule) || !(has(self.initialInterval) || has(self.multiplier) || has(self.maxInterval))")
        .message("schedule and initialInterval, multiplier, maxInterval exclude each other"),
    validation = Rule::new("duration(has(self.initialInterval) ? self.initialInterval : '5s') <= duration(has(self.maxInterval) ? self.maxInterval : '1h')")
        .message("initialInterval (5s by default) must not be longer than maxInterval (1h by default)")
)]
pub struct Retry {
    /// Maximum number of attempts. Defaults to one more than the schedule has intervals, or to 8
    /// with exponential backoff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<i32>", range(min = 1, max = 100))]
    pub max_attempts: Option<i32>,
    /// Intervals between attempts, such as `[5s, 1m, 1h]`; the last one repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::waits")]
    pub schedule: Option<Vec<String>>,
    /// Interval after the first attempt, with exponential backoff. Defaults to 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::wait")]
    pub initial_interval: Option<String>,
    /// Factor by which each interval is longer than the one before, with exponential backoff.
    /// Defaults to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<f64>", range(min = 1, max = 100))]
    pub multiplier: Option<f64>,
    /// Longest interval, with exponential backoff. Defaults to 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::wait")]
    pub max_interval: Option<String>,
    /// Random deviation of each interval, in either direction, as a fraction: 0.2 is 20 %.
    #[serde(default = "default_jitter")]
    #[schemars(range(min = 0, max = 1))]
    pub jitter: f64,
    /// How long after its acceptance (or replay) an event is attempted. It is dead when the next
    /// attempt would start later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::age")]
    pub max_age: Option<String>,
}

/// How repeated events are recognized.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!self.enabled || has(self.header) != has(self.key)")
        .message("exactly one of header and key must be set"),
    validation = Rule::new("self.enabled || !(has(self.header) || has(self.key))")
        .message("header and key need enabled: true")
)]
pub struct Dedup {
    /// Set to `false` to deliver repetitions of an event as events of their own.
    #[serde(default = "default_enabled")]
    pub enabled: bool,
    /// Header that identifies the event. A trigger without this header is never a duplicate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::header_name")]
    pub header: Option<String>,
    /// CEL expression over `event`, `headers`, `props`, `query` and `now` that returns a string, such as
    /// `event.id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<String>", length(min = 1, max = 4096))]
    pub key: Option<String>,
    /// How long after its acceptance an event is recognized as a duplicate.
    #[serde(default = "default_window")]
    #[schemars(schema_with = "schema::age")]
    pub window: String,
}

fn default_concurrency() -> i32 {
    16
}

fn default_jitter() -> f64 {
    0.2
}

fn default_enabled() -> bool {
    true
}

fn default_window() -> String {
    "24h".into()
}
