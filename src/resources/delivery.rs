//! How events reach the listener: `spec.delivery` of both kinds, and `spec.dedup`.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// How the events of a webhook reach the listener.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.mode != 'Sync' || self.ordering != 'Fifo'")
        .message("ordering Fifo needs mode Queued: with Sync nothing is queued"),
    validation = Rule::new("self.mode != 'Sync' || !has(self.retry)")
        .message("retry needs mode Queued: with Sync there is one attempt")
)]
pub struct Delivery {
    /// `Queued`: the sender has its answer as soon as the event is on stable storage, and the listener
    /// is called afterwards, again and again where that fails. `Sync`: the listener is called while the
    /// sender waits, once.
    #[serde(default)]
    pub mode: DeliveryMode,
    /// `Parallel`: events may overtake each other. `Fifo`: each waits until the one before succeeded or
    /// was given up.
    #[serde(default)]
    pub ordering: Ordering,
    /// When an attempt that failed is made again. It takes the place of the app's as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<Retry>")]
    pub retry: Option<Retry>,
}

/// When the sender gets its answer.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeliveryMode {
    /// As soon as the event is on stable storage.
    #[default]
    Queued,
    /// After the listener answered.
    Sync,
}

/// Whether the events of a webhook may overtake each other.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ordering {
    /// They may.
    #[default]
    Parallel,
    /// Each waits until the one before succeeded or died.
    Fifo,
}

/// What is common to the queued events of all webhooks of an app.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AppDelivery {
    /// How many attempts there are at once; each replica of the operator counts by itself.
    #[serde(default = "default_concurrency")]
    #[schemars(range(min = 1, max = 256))]
    pub concurrency: i32,
    /// When an attempt that failed is made again, where a webhook does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<Retry>")]
    pub retry: Option<Retry>,
}

impl Default for AppDelivery {
    fn default() -> Self {
        Self { concurrency: default_concurrency(), retry: None }
    }
}

/// When an attempt that failed is made again: after the waits of a schedule, or after waits that grow.
/// Without either the schedule is 5s, 5m, 30m, 2h, 5h, 10h, 10h.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.schedule) || !(has(self.initialInterval) || has(self.multiplier) || has(self.maxInterval))")
        .message("schedule and initialInterval, multiplier, maxInterval exclude each other"),
    validation = Rule::new("duration(has(self.initialInterval) ? self.initialInterval : '5s') <= duration(has(self.maxInterval) ? self.maxInterval : '1h')")
        .message("initialInterval (5s by default) must not be longer than maxInterval (1h by default)")
)]
pub struct Retry {
    /// How many attempts there are at most. By default one more than the schedule has waits; 8 where the
    /// waits grow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<i32>", range(min = 1, max = 100))]
    pub max_attempts: Option<i32>,
    /// The waits after each attempt, such as `[5s, 1m, 1h]`; the last one is used again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::waits")]
    pub schedule: Option<Vec<String>>,
    /// The wait after the first attempt; 5s by default where the waits grow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::wait")]
    pub initial_interval: Option<String>,
    /// How many times as long as the one before a wait is; 2 by default where the waits grow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<f64>", range(min = 1, max = 100))]
    pub multiplier: Option<f64>,
    /// The longest wait; 1h by default where the waits grow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::wait")]
    pub max_interval: Option<String>,
    /// How much longer or shorter a wait may turn out, by chance: 0.2 is 20 %.
    #[serde(default = "default_jitter")]
    #[schemars(range(min = 0, max = 1))]
    pub jitter: f64,
    /// For how long after an event came (or was replayed) it is attempted. An attempt that would come
    /// later is not waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::age")]
    pub max_age: Option<String>,
}

/// What two events have in common that are one event sent twice.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.header) != has(self.key)")
        .message("exactly one of header and key must be set")
)]
pub struct Dedup {
    /// A header that names the event. A trigger without it is no duplicate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::header_name")]
    pub header: Option<String>,
    /// A CEL expression over `event`, `headers`, `props` and `query` that gives a text: `event.id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<String>", length(min = 1, max = 4096))]
    pub key: Option<String>,
    /// For how long after an event came the same one is a duplicate.
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

fn default_window() -> String {
    "24h".into()
}
