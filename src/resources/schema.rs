//! Fragments of OpenAPI schema that a Rust type alone cannot say.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// The text of a UUID as Kubernetes writes its own: lower case, with hyphens.
pub const UUID_PATTERN: &str = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";

/// A DNS-1123 subdomain (RFC 1123), which the names of most Kubernetes objects are.
pub const SUBDOMAIN_PATTERN: &str = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";

/// A DNS-1035 label (RFC 1035), which the names of Services are.
pub const LABEL_PATTERN: &str = "^[a-z]([-a-z0-9]*[a-z0-9])?$";

/// A field name of HTTP (RFC 9110, section 5.1: `token`).
const HEADER_NAME_PATTERN: &str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";

/// A field that may be absent, and is absent where it is given as null: the API server drops a null
/// that is not allowed, so that `has()` in a rule means that there is a value.
pub fn not_null<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// An object that is kept as it was given.
pub fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "nullable": true,
        "x-kubernetes-preserve-unknown-fields": true,
    })
}

/// The name of a port (RFC 6335, section 5.1): of a-z, 0-9 and single hyphens, with a letter.
const PORT_NAME_PATTERN: &str = "^([0-9]+-)*[0-9]*[a-z](-?[a-z0-9])*$";

/// A port by number or by name. Each limit means one of the two: a number is not measured as text.
pub fn port(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "x-kubernetes-int-or-string": true,
        "minimum": 1,
        "maximum": 65535,
        "maxLength": 15,
        "pattern": PORT_NAME_PATTERN,
    })
}

/// Names of ServiceAccounts, each once.
pub fn service_accounts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 64,
        "x-kubernetes-list-type": "set",
        "items": {"type": "string", "minLength": 1, "maxLength": 253, "pattern": SUBDOMAIN_PATTERN},
    })
}

/// Names of headers that may be passed on to a listener.
pub fn forward_headers(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 64,
        "x-kubernetes-list-type": "set",
        "items": {
            "type": "string", "minLength": 1, "maxLength": 128, "pattern": HEADER_NAME_PATTERN,
            "x-kubernetes-validations": [{
                "rule": FORWARDABLE,
                "message": "is never passed on: hop-by-hop, credential and framing headers stay with the operator, and it sets Webhook-* and traceparent itself",
            }],
        },
    })
}

/// RFC 9110 section 7.6.1 names the hop-by-hop headers; the rest would leak credentials or
/// contradict what the operator itself says to the listener.
const FORWARDABLE: &str = "!self.matches('(?i)^(connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|authorization|cookie|host|expect|content-length|content-type|content-encoding|traceparent|webhook-.*)$')";

/// Networks in CIDR notation (RFC 4632, RFC 4291): more than any provider of webhooks publishes.
pub fn source_ranges(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 256,
        "x-kubernetes-list-type": "set",
        "items": {
            "type": "string", "minLength": 1, "maxLength": 49,
            "x-kubernetes-validations": [{
                "rule": "isCIDR(self)",
                "message": "must be a network in CIDR notation, such as 192.0.2.0/24 or 2001:db8::/32",
            }],
        },
    })
}

/// The name of a header.
pub fn header_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 128, "pattern": HEADER_NAME_PATTERN,
    })
}

/// Audiences of a token.
pub fn audiences(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "minItems": 1,
        "maxItems": 16,
        "x-kubernetes-list-type": "set",
        "items": {"type": "string", "minLength": 1, "maxLength": 1024},
    })
}

/// Origins of CloudEvents senders that may send: host names, or `*`.
pub fn origins(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 64,
        "x-kubernetes-list-type": "set",
        "items": {"type": "string", "minLength": 1, "maxLength": 253, "pattern": "^(\\*|[!-~]+)$"},
    })
}

/// A duration as CEL's `duration()` reads it, within bounds.
fn duration(least: &str, most: &str) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 2,
        "maxLength": 16,
        "pattern": "^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$",
        "x-kubernetes-validations": [{
            "rule": format!("duration(self) >= duration('{least}') && duration(self) <= duration('{most}')"),
            "message": format!("must be from {least} to {most}"),
        }],
    })
}

/// A wait between two attempts.
pub fn wait(_: &mut SchemaGenerator) -> Schema {
    duration("100ms", "720h")
}

/// Waits between attempts.
pub fn waits(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "minItems": 1, "maxItems": 32, "items": wait(generator)})
}

/// For how long something about an event counts.
pub fn age(_: &mut SchemaGenerator) -> Schema {
    duration("1s", "720h")
}

/// Conditions, one a type (the API conventions' list map).
pub fn conditions(generator: &mut SchemaGenerator) -> Schema {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
    let item = generator.subschema_for::<Condition>();
    json_schema!({
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": item,
    })
}
