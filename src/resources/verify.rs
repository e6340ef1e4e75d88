//! `spec.verify`: how the sender of a trigger is authenticated.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::challenge::ChallengeSpec;
use super::schema;

/// One way to authenticate the sender; a trigger passes when any entry accepts it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.type == 'Hmac') == has(self.hmac)")
        .message("hmac must be set with type Hmac, and with no other"),
    validation = Rule::new("(self.type == 'ApiKey') == has(self.apiKey)")
        .message("apiKey must be set with type ApiKey, and with no other"),
    validation = Rule::new("(self.type == 'Jwt') == has(self.jwt)")
        .message("jwt must be set with type Jwt, and with no other"),
    validation = Rule::new("(self.type == 'Jwt') != (has(self.secretRefs) && self.secretRefs.size() > 0)")
        .message("secretRefs must name a secret, except with type Jwt, which takes none"),
    validation = Rule::new("!has(self.verifyToken) || self.type == 'Meta' || has(self.challenge) && self.challenge.proof == 'Token'")
        .message("verifyToken can be set with type Meta only, or with a challenge whose proof is Token"),
    validation = Rule::new("!has(self.challenge) || self.challenge.proof != 'Token' || has(self.verifyToken)")
        .message("verifyToken must be set with a challenge whose proof is Token"),
    validation = Rule::new("!has(self.challenge) || self.type in ['Hmac', 'Bearer', 'Basic', 'ApiKey', 'Jwt']")
        .message("challenge can be set with types Hmac, Bearer, Basic, ApiKey and Jwt only; providers have theirs built in"),
    validation = Rule::new("!has(self.allowSha1) || !self.allowSha1 || self.type == 'GitHub'")
        .message("allowSha1 can be set with type GitHub only")
)]
pub struct VerifyEntry {
    /// A provider, or a generic type.
    #[serde(rename = "type")]
    pub type_: VerifyType,
    /// Keys of Secrets in this namespace. All of them are accepted, so that secrets rotate without
    /// a gap.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub secret_refs: Vec<SecretKeyRef>,
    /// A generic signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<Hmac>")]
    pub hmac: Option<Hmac>,
    /// An API key in a header, in the query or in the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<ApiKey>")]
    pub api_key: Option<ApiKey>,
    /// A JSON Web Token whose issuer publishes its keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<Jwt>")]
    pub jwt: Option<Jwt>,
    /// A request by which the sender verifies the endpoint, of a generic type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<ChallengeSpec>")]
    pub challenge: Option<ChallengeSpec>,
    /// The token that Meta sends to verify a subscription (`hub.verify_token`), or that a `challenge`
    /// has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<SecretKeyRef>")]
    pub verify_token: Option<SecretKeyRef>,
    /// Whether to also accept GitHub's SHA-1 signature, for servers that send no SHA-256.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub allow_sha1: bool,
}

/// The providers, and the generic types.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each variant is the name of its provider; docs/providers.md describes them"
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
    Mux,
    Paddle,
    PagerDuty,
    Square,
    Hmac,
    Bearer,
    Basic,
    ApiKey,
    Jwt,
}

impl VerifyType {
    /// The name of the type in YAML.
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
            Self::Mux => "Mux",
            Self::Paddle => "Paddle",
            Self::PagerDuty => "PagerDuty",
            Self::Square => "Square",
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
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::SUBDOMAIN_PATTERN))]
    pub name: String,
    /// Key in the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// A generic signature, by HMAC or a public key; a provider has all of this built in.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.signed.contains('{timestamp}') == (has(self.timestampHeader) || has(self.items) && has(self.items.timestamp))")
        .message("timestampHeader must be set if and only if signed contains {timestamp}; with items, set items.timestamp instead if the timestamp is an item"),
    validation = Rule::new("!has(self.timestampHeader) || !has(self.items) || !has(self.items.timestamp)")
        .message("only one of timestampHeader and items.timestamp can be set"),
    validation = Rule::new("!has(self.timestampFormat) || self.signed.contains('{timestamp}')")
        .message("timestampFormat can be set only if signed contains {timestamp}"),
    validation = Rule::new("!has(self.items) || self.prefix == ''")
        .message("prefix cannot be set with items, whose signature is named"),
    validation = Rule::new("self.signed.contains('{id}') == has(self.idHeader)")
        .message("idHeader must be set if and only if signed contains {id}"),
    validation = Rule::new("!has(self.deliveryId) || !has(self.idHeader)")
        .message("deliveryId cannot be set with idHeader, which is the delivery id")
)]
pub struct Hmac {
    /// Header of the signature.
    #[schemars(schema_with = "schema::header_name")]
    pub header: String,
    /// Algorithm. Of `ed25519`, `ecdsa-p256` and `rsa-sha256`, the secret is the sender's public key;
    /// the others are hash functions of HMAC.
    #[serde(default)]
    pub algorithm: SignatureAlgorithm,
    /// Encoding of the key in the Secret. A public key is PEM (`PUBLIC KEY`), JWK, or
    /// SubjectPublicKeyInfo or the bare key of a curve in base64 or hexadecimal digits.
    #[serde(default)]
    pub secret_encoding: SecretEncoding,
    /// Encoding of the signature.
    #[serde(default)]
    pub encoding: SignatureEncoding,
    /// Prefix of the signature in the header, such as `sha256=`.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub prefix: String,
    /// The header is a list of named items, such as `t=1700000000,v1=5257a869`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<Items>")]
    pub items: Option<Items>,
    /// Template of the signed text, with `{id}`, `{timestamp}`, `{method}`, `{url}`, `{path}`,
    /// `{header:NAME}`, and `{body}`, `{sha256:body}` or `{crc32:body}`.
    #[serde(default = "default_signed")]
    #[schemars(length(min = 6, max = 256))]
    #[x_kube(validation = Rule::new("self.contains('{body}') || self.contains('{sha256:body}') || self.contains('{crc32:body}')")
        .message("must contain {body}, {sha256:body} or {crc32:body}"))]
    pub signed: String,
    /// Whether `{body}` is the body as sent, or without its content coding (`Content-Encoding`).
    #[serde(default)]
    pub over: SignedBody,
    /// Header of `{timestamp}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::header_name")]
    pub timestamp_header: Option<String>,
    /// Format of `{timestamp}`. Defaults to seconds or milliseconds since 1970, told apart by their
    /// magnitude.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<TimestampFormatSpec>")]
    pub timestamp_format: Option<TimestampFormatSpec>,
    /// Header of `{id}`, which is also the delivery id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::header_name")]
    pub id_header: Option<String>,
    /// Maximum difference between the timestamp and the current time, in either direction.
    #[serde(default = "default_tolerance")]
    #[schemars(length(min = 2, max = 16), regex(pattern = "^([0-9]+(s|m|h))+$"))]
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('24h')")
            .message("must be from 1s to 24h")
    )]
    pub tolerance: String,
    /// The id of a delivery, which the sender repeats in each repetition of it, where it is not
    /// signed as `{id}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::not_null::<DeliveryIdSourceSpec>")]
    pub delivery_id: Option<DeliveryIdSourceSpec>,
    /// Headers that describe the event. The listener receives them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::event_headers")]
    pub event_headers: Vec<String>,
}

/// The items of a signature header. Blanks around an item are ignored, and so are items with other
/// names. Several items may be signatures, as while the sender rotates its secret: any may match.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.separator != self.assign")
        .message("separator and assign must differ"),
    validation = Rule::new("!has(self.timestamp) || self.timestamp != self.signature")
        .message("signature and timestamp must be items with different names")
)]
pub struct Items {
    /// The character between two items: a comma, a blank or another mark.
    #[serde(default = "default_separator")]
    #[schemars(schema_with = "schema::separator")]
    pub separator: String,
    /// The character between the name of an item and its value.
    #[serde(default = "default_assign")]
    #[schemars(schema_with = "schema::assign")]
    pub assign: String,
    /// Name of the items that are signatures.
    #[schemars(schema_with = "schema::item_name")]
    pub signature: String,
    /// Name of the item that is `{timestamp}`, which must be there once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::item_name")]
    pub timestamp: Option<String>,
}

/// The position of a delivery id: exactly one of the fields.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.header) != has(self.pointer)")
        .message("exactly one of header and pointer must be set")
)]
pub struct DeliveryIdSourceSpec {
    /// A header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::header_name")]
    pub header: Option<String>,
    /// JSON pointer (RFC 6901) to a string or a number in the body, such as `/event/id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::json_pointer")]
    pub pointer: Option<String>,
}

/// A hash function of HMAC (RFC 2104), or an algorithm with a public key.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum SignatureAlgorithm {
    /// SHA-1, for senders that support nothing else.
    Sha1,
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// ECDSA with the curve P-256 and SHA-256; the signature is in DER, or has 64 bytes.
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    /// RSASSA-PKCS1-v1_5 with SHA-256, and a key of 2048 to 8192 bits.
    #[serde(rename = "rsa-sha256")]
    RsaSha256,
}

/// Format of a timestamp.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum TimestampFormatSpec {
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Milliseconds,
    /// Date and time with an offset, such as `2026-01-01T00:00:00Z` (RFC 3339).
    Rfc3339,
}

/// Encoding of a key in its Secret.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum SecretEncoding {
    /// The text is the key, whatever it looks like; of a public key, PEM, JWK, base64 or hexadecimal
    /// digits.
    #[default]
    Text,
    /// Base64, with or without padding.
    Base64,
    /// Hexadecimal digits.
    Hex,
}

/// Encoding of a signature.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum SignatureEncoding {
    /// Hexadecimal digits.
    #[default]
    Hex,
    /// Base64 with padding.
    Base64,
    /// Base64 with the URL-safe alphabet, with or without padding.
    Base64url,
}

/// The bytes of a body that are signed.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignedBody {
    /// The bytes as sent.
    #[default]
    Encoded,
    /// The body without its content codings.
    Decoded,
}

/// An API key: exactly one of the fields is its position.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.header), has(self.query), has(self.member)].filter(it, it).size() == 1")
        .message("exactly one of header, query and member must be set")
)]
pub struct ApiKey {
    /// A header, whose whole value is the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::header_name")]
    pub header: Option<String>,
    /// A parameter of the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::parameter_name")]
    pub query: Option<String>,
    /// JSON pointer (RFC 6901) to a string in the body, such as `/value/0/clientState`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::json_pointer")]
    pub member: Option<String>,
}

/// A JSON Web Token (RFC 7519).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Jwt {
    /// Expected value of the claim `iss`.
    #[schemars(length(min = 1, max = 1024))]
    pub issuer: String,
    /// Accepted audiences: the claim `aud` must contain one of them.
    #[schemars(schema_with = "schema::audiences")]
    pub audiences: Vec<String>,
    /// URL of the issuer's key set (RFC 7517).
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(
        validation = Rule::new("isURL(self) && url(self).getScheme() == 'https' && url(self).getHostname() != ''")
            .message("must be an absolute https URL")
    )]
    pub jwks_url: String,
}

fn default_signed() -> String {
    "{body}".into()
}

fn default_separator() -> String {
    ",".into()
}

fn default_assign() -> String {
    "=".into()
}

fn default_tolerance() -> String {
    "300s".into()
}
