//! `WebhookApp`: an app that receives webhooks, and its listener.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::delivery::AppDelivery;
use super::schema;

/// An app that receives webhooks, and the listener that its events are delivered to.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "lenra.io",
    version = "v1alpha1",
    kind = "WebhookApp",
    plural = "webhookapps",
    namespaced,
    status = "WebhookAppStatus",
    shortname = "whapp",
    category = "lenra",
    derive = "PartialEq",
    doc = "An app that receives webhooks, and the listener that its events are delivered to.",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Reachable","type":"string","jsonPath":".status.conditions[?(@.type==\"ListenerReachable\")].status"}"#,
    printcolumn = r#"{"name":"Webhooks","type":"integer","jsonPath":".status.webhooks"}"#,
    printcolumn = r#"{"name":"URL","type":"string","priority":1,"jsonPath":".status.url"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.uuid) == has(oldSelf.uuid) && (!has(self.uuid) || self.uuid == oldSelf.uuid)")
        .message("uuid is immutable: it is part of every URL of the app")
)]
pub struct WebhookAppSpec {
    /// Existing UUID to adopt, in lower case. By default the operator derives one. Immutable. With the
    /// chart's admission policy, setting it needs the verb `adopt` on this resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<String>", length(max = 36), regex(pattern = schema::UUID_PATTERN))]
    pub uuid: Option<String>,
    /// Number that the app API returns as `environment_id`.
    #[serde(default = "default_environment_id")]
    #[schemars(range(min = 0))]
    pub environment_id: i64,
    /// HTTP endpoint that the app's events are delivered to.
    pub listener: Listener,
    /// How queued events of the app's webhooks are delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<AppDelivery>")]
    pub delivery: Option<AppDelivery>,
    /// ServiceAccounts of this namespace that may call the app API on behalf of this app.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::service_accounts")]
    pub service_accounts: Vec<String>,
}

/// The HTTP endpoint of an app.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.service) != has(self.url)")
        .message("exactly one of service and url must be set")
)]
pub struct Listener {
    /// A Service of the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<ServiceReference>")]
    pub service: Option<ServiceReference>,
    /// An absolute http or https URL; rejected unless the operator allows URLs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<String>", length(min = 1, max = 2048))]
    #[x_kube(
        validation = Rule::new("isURL(self) && url(self).getHostname() != '' && self.matches('(?i)^https?://[^/?#]')")
            .message("must be an absolute http or https URL")
    )]
    pub url: Option<String>,
    /// Format of a listener call.
    #[serde(default)]
    pub envelope: Envelope,
    /// Timeout of a whole attempt, from 100ms to 300s.
    #[serde(default = "default_timeout")]
    #[schemars(length(min = 2, max = 16), regex(pattern = "^([0-9]+(\\.[0-9]+)?(ms|s|m))+$"))]
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('100ms') && duration(self) <= duration('300s')")
            .message("must be from 100ms to 300s")
    )]
    pub timeout: String,
}

/// A port of a Service in the app's own namespace.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ServiceReference {
    /// Name of the Service.
    #[schemars(length(min = 1, max = 63), regex(pattern = schema::LABEL_PATTERN))]
    pub name: String,
    /// Port of the Service, by number or name.
    #[schemars(schema_with = "schema::port")]
    pub port: IntOrString,
    /// Path of the listener call.
    #[serde(default = "default_path")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^/[!-~]*$"))]
    pub path: String,
    /// Scheme of the listener call: `http` or `https`.
    #[serde(default)]
    pub scheme: Scheme,
}

/// Format of a listener call.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Envelope {
    /// `{"action","props","event","api"}`.
    #[default]
    Action,
    /// `{"listener","props","event","api"}`, the later generation of the same protocol.
    Listener,
    /// A CloudEvent 1.0 in structured mode, with the event as `data` and the props as
    /// `webhookprops`. A trigger that is a CloudEvent keeps its own attributes.
    CloudEvent,
    /// The sender's body, `Content-Type`, `Content-Encoding` and query string, unchanged.
    Raw,
}

/// The scheme of a listener.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Cleartext HTTP.
    #[default]
    Http,
    /// HTTP over TLS.
    Https,
}

/// The observed state of a `WebhookApp`.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct WebhookAppStatus {
    /// UUID in the app's URLs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Prefix of the app's trigger URLs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Number of webhooks that reference this app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhooks: Option<i64>,
    /// Generation that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The kstatus conditions `Ready`, `Reconciling` and `Stalled`; and, once an event was
    /// queued, `ListenerReachable`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

fn default_environment_id() -> i64 {
    1
}

fn default_timeout() -> String {
    "10s".into()
}

fn default_path() -> String {
    "/".into()
}
