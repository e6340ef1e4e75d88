//! Fragments of OpenAPI schema that a Rust type cannot express.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// Pattern of a UUID as Kubernetes writes it: lower case, with hyphens.
pub const UUID_PATTERN: &str = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";

/// Pattern of a DNS-1123 subdomain (RFC 1123): the names of most Kubernetes objects.
pub const SUBDOMAIN_PATTERN: &str = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";

/// Pattern of a DNS-1035 label (RFC 1035): the names of Services.
pub const LABEL_PATTERN: &str = "^[a-z]([-a-z0-9]*[a-z0-9])?$";

/// Pattern of an HTTP field name (RFC 9110, section 5.1: `token`).
const HEADER_NAME_PATTERN: &str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";

/// A field name, or the beginning of one before a `*`.
const HEADER_PREFIX_PATTERN: &str = "^[!#$%&'+.^_`|~0-9A-Za-z-]+\\*?$";

/// An optional field without `nullable`: the API server drops a null, so that `has()` in a CEL rule
/// means that the field has a value.
pub fn not_null<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// An object whose fields are all preserved.
pub fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "nullable": true,
        "x-kubernetes-preserve-unknown-fields": true,
    })
}

/// Pattern of a port name (RFC 6335, section 5.1): a-z, 0-9 and single hyphens, at least one
/// letter.
const PORT_NAME_PATTERN: &str = "^([0-9]+-)*[0-9]*[a-z](-?[a-z0-9])*$";

/// A port by number or name. The numeric limits apply to the number, the string limits to the name.
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

/// A set of ServiceAccount names.
pub fn service_accounts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 64,
        "x-kubernetes-list-type": "set",
        "items": {"type": "string", "minLength": 1, "maxLength": 253, "pattern": SUBDOMAIN_PATTERN},
    })
}

/// A set of header names that may be forwarded to a listener.
pub fn forward_headers(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 64,
        "x-kubernetes-list-type": "set",
        "items": {
            "type": "string", "minLength": 1, "maxLength": 128, "pattern": HEADER_PREFIX_PATTERN,
            "x-kubernetes-validations": [{
                "rule": FORWARDABLE,
                "message": "is never forwarded: the operator drops hop-by-hop, credential and framing headers, and sets Webhook-* and traceparent itself",
            }],
        },
    })
}

/// RFC 9110 section 7.6.1 lists the hop-by-hop headers. The other headers would leak credentials or
/// contradict headers that the operator sets itself.
const FORWARDABLE: &str = "!self.matches('(?i)^(connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|authorization|cookie|host|expect|content-length|content-type|content-encoding|traceparent|webhook-.*)$')";

/// A set of methods of probes.
pub fn probes(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 2,
        "x-kubernetes-list-type": "set",
        "items": generator.subschema_for::<super::ProbeMethod>(),
    })
}

/// Networks in CIDR notation (RFC 4632, RFC 4291). The limit is higher than any webhook provider
/// needs.
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

/// A header name.
pub fn header_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 128, "pattern": HEADER_NAME_PATTERN,
    })
}

/// A set of header names that describe an event; they may be forwarded to a listener.
pub fn event_headers(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "set",
        "items": {
            "type": "string", "minLength": 1, "maxLength": 128, "pattern": HEADER_NAME_PATTERN,
            "x-kubernetes-validations": [{
                "rule": FORWARDABLE,
                "message": "is never forwarded: the operator drops hop-by-hop, credential and framing headers, and sets Webhook-* and traceparent itself",
            }],
        },
    })
}

/// The character between two items of a header: none that names or encoded signatures contain.
pub fn separator(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 1, "pattern": "^[ !#$%&*,:;<>?@|~]$"})
}

/// The character between the name and the value of an item.
pub fn assign(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 1, "pattern": "^[!#$%&*,:;<=>?@|~]$"})
}

/// The name of an item of a header.
pub fn item_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 32, "pattern": "^[0-9A-Za-z._-]+$",
    })
}

/// The name of a parameter of a query.
pub fn parameter_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "minLength": 1, "maxLength": 128})
}

/// The name of a member or a header of a response. Headers that frame a response are none.
pub fn answer_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 128, "pattern": HEADER_NAME_PATTERN,
        "x-kubernetes-validations": [{
            "rule": FORWARDABLE,
            "message": "is set by the operator, or describes the connection or the body",
        }],
    })
}

/// A JSON pointer (RFC 6901) to a value below the root.
pub fn json_pointer(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 2, "maxLength": 256,
        "pattern": "^(/([^/~]|~[01])*){1,16}$",
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

/// Origins of CloudEvents senders: host names, or `*`.
pub fn origins(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 64,
        "x-kubernetes-list-type": "set",
        "items": {"type": "string", "minLength": 1, "maxLength": 253, "pattern": "^(\\*|[!-~]+)$"},
    })
}

/// A duration that CEL's `duration()` accepts, within bounds.
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

/// An interval between two attempts.
pub fn wait(_: &mut SchemaGenerator) -> Schema {
    duration("100ms", "720h")
}

/// Intervals between attempts.
pub fn waits(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "minItems": 1, "maxItems": 32, "items": wait(generator)})
}

/// How long an event may be retried or recognized as a duplicate.
pub fn age(_: &mut SchemaGenerator) -> Schema {
    duration("1s", "720h")
}

/// Conditions: a list map with the key `type`, as the API conventions require.
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
