//! `spec.verify[].challenge`: a request by which a sender verifies the endpoint.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// A request by which the sender verifies the endpoint before it sends events, or between them, and
/// its response. There is no event.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.proof == 'Token') == has(self.token)")
        .message("token must be set with proof Token, and with no other"),
    validation = Rule::new("self.method != 'POST' || !has(self.at.pointer) || has(self.when)")
        .message("when must be set with method POST and at.pointer: otherwise an event could be taken for a challenge"),
    validation = Rule::new("self.method != 'GET' || !(has(self.at.pointer) || has(self.when) && has(self.when.pointer))")
        .message("at and when cannot have a pointer with method GET, which has no body"),
    validation = Rule::new("self.method != 'GET' || self.proof != 'Signature'")
        .message("proof must be None or Token with method GET, which senders do not sign")
)]
pub struct ChallengeSpec {
    /// Method of the request.
    pub method: ChallengeMethodSpec,
    /// What tells a challenge from an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<ChallengeConditionSpec>")]
    pub when: Option<ChallengeConditionSpec>,
    /// The position of the text that the response contains.
    pub at: PositionSpec,
    /// The response: status 200, and the challenge.
    #[serde(default)]
    pub answer: ChallengeAnswer,
    /// What authenticates the request.
    pub proof: ChallengeProofSpec,
    /// The position of the token that must be that of `verifyToken`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<PositionSpec>")]
    pub token: Option<PositionSpec>,
}

/// The method of a challenge.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
pub enum ChallengeMethodSpec {
    /// `GET`.
    Get,
    /// `POST`, like events.
    Post,
}

/// What authenticates a challenge.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeProofSpec {
    /// Nothing. The response contains only what the request does.
    None,
    /// It is verified as an event is.
    Signature,
    /// The token of `verifyToken`.
    Token,
}

/// A position in a request: exactly one of the fields.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.header), has(self.query), has(self.pointer)].filter(it, it).size() == 1")
        .message("exactly one of header, query and pointer must be set")
)]
pub struct PositionSpec {
    /// A header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::header_name")]
    pub header: Option<String>,
    /// A parameter of the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::parameter_name")]
    pub query: Option<String>,
    /// JSON pointer (RFC 6901) to a string in the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::json_pointer")]
    pub pointer: Option<String>,
}

/// A text that a challenge has at a position: exactly one of the other fields.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.header), has(self.query), has(self.pointer)].filter(it, it).size() == 1")
        .message("exactly one of header, query and pointer must be set")
)]
pub struct ChallengeConditionSpec {
    /// A header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::header_name")]
    pub header: Option<String>,
    /// A parameter of the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::parameter_name")]
    pub query: Option<String>,
    /// JSON pointer (RFC 6901) to a string in the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::json_pointer")]
    pub pointer: Option<String>,
    /// The text.
    #[schemars(length(min = 1, max = 256))]
    pub equals: String,
}

/// The form of the challenge in the response.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.form == 'Text') == !has(self.name)")
        .message("name must be set with form Json or Header, and not with form Text")
)]
pub struct ChallengeAnswer {
    /// The form.
    #[serde(default)]
    pub form: AnswerFormSpec,
    /// Name of the member, or of the header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::answer_name")]
    pub name: Option<String>,
}

/// The form of a challenge in a response.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerFormSpec {
    /// Plain text.
    #[default]
    Text,
    /// A JSON object with one member.
    Json,
    /// A header, without a body.
    Header,
}
