//! `spec.verify`: how a trigger may prove who sent it.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// One way of proving it; one that accepts is enough.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.type == 'Hmac') == has(self.hmac)")
        .message("hmac must be set with type Hmac, and only then"),
    validation = Rule::new("(self.type == 'ApiKey') == has(self.apiKey)")
        .message("apiKey must be set with type ApiKey, and only then"),
    validation = Rule::new("(self.type == 'Jwt') == has(self.jwt)")
        .message("jwt must be set with type Jwt, and only then"),
    validation = Rule::new("(self.type == 'Jwt') != (has(self.secretRefs) && self.secretRefs.size() > 0)")
        .message("secretRefs must name a secret, except with type Jwt, which has none"),
    validation = Rule::new("!has(self.verifyToken) || self.type == 'Meta'")
        .message("verifyToken is of type Meta alone"),
    validation = Rule::new("!has(self.allowSha1) || !self.allowSha1 || self.type == 'GitHub'")
        .message("allowSha1 is of type GitHub alone")
)]
pub struct VerifyEntry {
    /// The provider that sends, or a generic way.
    #[serde(rename = "type")]
    pub type_: VerifyType,
    /// Keys of Secrets in this namespace. All of them are live: a rotation leaves no gap.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub secret_refs: Vec<SecretKeyRef>,
    /// A signature that is described here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<Hmac>")]
    pub hmac: Option<Hmac>,
    /// A secret in a header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<ApiKey>")]
    pub api_key: Option<ApiKey>,
    /// A token of an issuer that publishes its keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<Jwt>")]
    pub jwt: Option<Jwt>,
    /// What a subscription of Meta shows before anything is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<SecretKeyRef>")]
    pub verify_token: Option<SecretKeyRef>,
    /// Whether GitHub's SHA-1 signature is accepted too, for servers that send no other.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allow_sha1: bool,
}

/// The providers, and the generic ways.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each is the name of its provider; docs/providers.md tells the rest"
)]
pub enum VerifyType {
    GitHub,
    GitLab,
    Bitbucket,
    Gitea,
    Stripe,
    Slack,
    Shopify,
    Twilio,
    Zoom,
    Linear,
    Discord,
    StandardWebhooks,
    Meta,
    Hmac,
    Bearer,
    Basic,
    ApiKey,
    Jwt,
}

impl VerifyType {
    /// The type as YAML names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GitHub => "GitHub",
            Self::GitLab => "GitLab",
            Self::Bitbucket => "Bitbucket",
            Self::Gitea => "Gitea",
            Self::Stripe => "Stripe",
            Self::Slack => "Slack",
            Self::Shopify => "Shopify",
            Self::Twilio => "Twilio",
            Self::Zoom => "Zoom",
            Self::Linear => "Linear",
            Self::Discord => "Discord",
            Self::StandardWebhooks => "StandardWebhooks",
            Self::Meta => "Meta",
            Self::Hmac => "Hmac",
            Self::Bearer => "Bearer",
            Self::Basic => "Basic",
            Self::ApiKey => "ApiKey",
            Self::Jwt => "Jwt",
        }
    }
}

/// A key of a Secret in the webhook's namespace.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::SUBDOMAIN_PATTERN))]
    pub name: String,
    /// The key in it.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// A signature: what a provider's row is, written out.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.signed.contains('{timestamp}') == has(self.timestampHeader)")
        .message("timestampHeader must be set where signed has {timestamp}, and only there"),
    validation = Rule::new("self.signed.contains('{id}') == has(self.idHeader)")
        .message("idHeader must be set where signed has {id}, and only there")
)]
pub struct Hmac {
    /// The header that holds the signature.
    #[schemars(schema_with = "schema::header_name")]
    pub header: String,
    /// The hash function.
    #[serde(default)]
    pub algorithm: HashFunction,
    /// How the signature is written.
    #[serde(default)]
    pub encoding: SignatureEncoding,
    /// What stands before the signature in its header.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub prefix: String,
    /// What is signed: text with `{id}`, `{timestamp}`, `{url}` and `{body}` in it.
    #[serde(default = "default_signed")]
    #[schemars(length(min = 6, max = 256))]
    #[x_kube(validation = Rule::new("self.contains('{body}')").message("must have {body} in it"))]
    pub signed: String,
    /// The header of `{timestamp}`: seconds or milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::header_name")]
    pub timestamp_header: Option<String>,
    /// The header of `{id}`, which then names the delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::header_name")]
    pub id_header: Option<String>,
    /// How far the timestamp may be from the present, in either direction.
    #[serde(default = "default_tolerance")]
    #[schemars(length(min = 2, max = 16), regex(pattern = "^([0-9]+(s|m|h))+$"))]
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('24h')")
            .message("must be from 1s to 24h")
    )]
    pub tolerance: String,
}

/// A hash function of HMAC (RFC 2104).
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum HashFunction {
    /// SHA-1: for senders that know no other.
    Sha1,
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
}

/// How a signature is written.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum SignatureEncoding {
    /// Hexadecimal digits.
    #[default]
    Hex,
    /// Base64 with padding.
    Base64,
}

/// A secret in a header.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// The header's name.
    #[schemars(schema_with = "schema::header_name")]
    pub header: String,
}

/// A token of an issuer (RFC 7519).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Jwt {
    /// What the claim `iss` must be.
    #[schemars(length(min = 1, max = 1024))]
    pub issuer: String,
    /// One of these must be in the claim `aud`.
    #[schemars(schema_with = "schema::audiences")]
    pub audiences: Vec<String>,
    /// Where the issuer publishes its keys (RFC 7517).
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(
        validation = Rule::new("isURL(self) && url(self).getScheme() == 'https' && url(self).getHostname() != ''")
            .message("must be an absolute https URL")
    )]
    pub jwks_url: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_false(value: &bool) -> bool {
    !value
}

fn default_signed() -> String {
    "{body}".into()
}

fn default_tolerance() -> String {
    "300s".into()
}
