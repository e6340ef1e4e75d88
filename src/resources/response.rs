//! `spec.response` and `spec.probes`: the responses that a sender needs.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// The response to a trigger that was accepted, also to a duplicate and to an event that the filter
/// excludes. What is not set is as without this field.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.from) != (has(self.status) || has(self.body))")
        .message("either from or at least one of status and body must be set"),
    validation = Rule::new("!has(self.contentType) || has(self.body)")
        .message("contentType needs body"),
    validation = Rule::new("!has(self.status) || !(self.status in [204, 205]) || !has(self.body) || self.body == ''")
        .message("a response with status 204 or 205 has no body")
)]
pub struct Response {
    /// `Listener`: status, content type and body of the listener's 2xx response, up to 1 MiB. Needs
    /// `delivery.mode: Sync`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<ResponseSource>")]
    pub from: Option<ResponseSource>,
    /// Status code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<i32>", range(min = 200, max = 299))]
    pub status: Option<i32>,
    /// Content type of `body`. Defaults to `text/plain; charset=utf-8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        schema_with = "schema::not_null::<String>",
        length(min = 3, max = 255),
        regex(pattern = "^[!-~]+/[!-~][ -~]*$")
    )]
    pub content_type: Option<String>,
    /// Body; may be empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<String>", length(max = 16384))]
    pub body: Option<String>,
}

/// Where the response to a trigger comes from.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseSource {
    /// The listener.
    Listener,
}

/// A method of requests that some senders make before they save a URL.
#[derive(
    JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum ProbeMethod {
    /// `HEAD`.
    Head,
    /// `GET`.
    Get,
}
