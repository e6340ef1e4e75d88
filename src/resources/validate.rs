//! Validation of an object as the API server does it on admission: defaults, schema and CEL rules.

use std::collections::BTreeSet;

use jsonschema::error::ValidationErrorKind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::CustomResourceExt;
use kube::core::cel;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::{Webhook, WebhookApp};

/// Why an object is rejected: each error with its field, joined by "; ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(String);

impl Invalid {
    /// An error in one field.
    pub fn field(path: &str, fault: &str) -> Self {
        Self(format!("{path}: Invalid value: {fault}"))
    }

    /// A required field without a value.
    pub fn required(path: &str) -> Self {
        Self(format!("{path}: Required value"))
    }

    /// The object passes the schema but does not deserialize into our types, for example because a
    /// number is too large.
    pub fn unreadable(error: &serde_json::Error) -> Self {
        Self(format!("cannot be read: {error}"))
    }

    fn joined(faults: BTreeSet<String>) -> Result<(), Self> {
        if faults.is_empty() {
            return Ok(());
        }
        Err(Self(faults.into_iter().collect::<Vec<_>>().join("; ")))
    }
}

/// The compiled schema and CEL rules of one kind.
#[derive(Debug)]
pub struct Validator {
    /// The schema of the CRD: decides which nulls are dropped and which defaults are set.
    structural: Value,
    /// The same schema as strict JSON Schema.
    schema: jsonschema::Validator,
    rules: cel::CompiledSchema,
    cel: cel::Validator,
}

impl Validator {
    /// The validator of `WebhookApp`.
    pub fn webhook_app() -> Self {
        Self::of::<WebhookApp>()
    }

    /// The validator of `Webhook`.
    pub fn webhook() -> Self {
        Self::of::<Webhook>()
    }

    /// # Panics
    /// Never: the schemas are built in, and a test compiles them.
    fn of<K: CustomResourceExt>() -> Self {
        let structural = root_schema(&K::crd());
        let mut rules = cel::compile_schema(&structural);
        keep_rules(&mut rules);
        let schema = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .build(&strict(&structural))
            .expect("the schema of our own CRD is a schema");
        Self { structural, schema, rules, cel: cel::Validator::new() }
    }

    /// Drops nulls that the schema does not allow, sets defaults, and checks the object against the
    /// schema and the rules. `before` is the previous version of the object, as this function left
    /// it, for transition rules.
    ///
    /// # Errors
    /// All violations of the schema; if there are none, all violated rules.
    pub fn admit(&self, object: &mut Value, before: Option<&Value>) -> Result<(), Invalid> {
        complete(&self.structural, object);
        Invalid::joined(
            self.schema.iter_errors(object).flat_map(|error| faults(&error)).collect(),
        )?;
        self.keep_to_rules(object, before)
    }

    /// Checks an admitted object against the rules only.
    ///
    /// # Errors
    /// All violated rules.
    pub fn keep_to_rules(&self, object: &Value, before: Option<&Value>) -> Result<(), Invalid> {
        if !can_break(&self.rules, object, before.is_some()) {
            return Ok(());
        }
        let broken = match self.cel.validate_compiled(&self.rules, object, before) {
            Ok(()) => return Ok(()),
            Err(broken) => broken,
        };
        let told = |rule: &cel::ValidationError| {
            format!("{}: Invalid value: {}", rule.field_path, rule.message)
        };
        Invalid::joined(broken.iter().map(told).collect())
    }
}

/// Whether a text is a DNS subdomain (RFC 1123), as object names are.
pub fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label_text)
}

/// Whether a text is a DNS label (RFC 1123), as namespace names are.
pub fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_label_text(text)
}

fn is_label_text(text: &str) -> bool {
    let inside = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().copied().is_some_and(inside)
        && bytes.last().copied().is_some_and(inside)
        && bytes.iter().all(|c| inside(*c) || *c == b'-')
}

/// The schema of a whole object. A `status` in the manifest is not part of it: the API server
/// ignores it, and so must the caller.
fn root_schema(
    crd: &k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
) -> Value {
    let version = &crd.spec.versions[0];
    let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
    let mut schema = serde_json::to_value(schema).unwrap_or_default();
    let group_version = format!("{}/{}", crd.spec.group, version.name);
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.remove("status");
        properties.insert("apiVersion".into(), json!({"type": "string", "enum": [group_version]}));
        properties.insert("kind".into(), json!({"type": "string", "enum": [crd.spec.names.kind]}));
        properties.insert("metadata".into(), metadata_schema());
    }
    schema["required"] = json!(["apiVersion", "kind", "metadata", "spec"]);
    schema
}

fn metadata_schema() -> Value {
    let settings = SchemaSettings::openapi3().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<ObjectMeta>().into()
}

/// Keeps only the branches that lead to a rule: most fields have none, and each costs time.
fn keep_rules(schema: &mut cel::CompiledSchema) -> bool {
    schema.properties.retain(|_, property| keep_rules(property));
    for branch in [&mut schema.items, &mut schema.additional_properties] {
        if !branch.as_deref_mut().is_some_and(keep_rules) {
            *branch = None;
        }
    }
    for branches in [&mut schema.all_of, &mut schema.any_of, &mut schema.one_of] {
        branches.retain_mut(keep_rules);
    }
    !schema.validations.is_empty()
        || !schema.properties.is_empty()
        || schema.items.is_some()
        || schema.additional_properties.is_some()
        || !(schema.all_of.is_empty() && schema.any_of.is_empty() && schema.one_of.is_empty())
}

/// Whether any rule applies to a value. Evaluation copies the object many times, and most objects
/// have no field with a rule.
fn can_break(rules: &cel::CompiledSchema, value: &Value, is_update: bool) -> bool {
    let counts = |rule: &Result<cel::CompilationResult, _>| {
        rule.as_ref().map_or(true, |rule| {
            is_update || !rule.is_transition_rule || rule.rule.optional_old_self == Some(true)
        })
    };
    let below = |(name, rules)| value.get(name).is_some_and(|v| can_break(rules, v, is_update));
    let mut items = value.as_array().into_iter().flatten();
    let branches = rules.all_of.iter().chain(&rules.any_of).chain(&rules.one_of);
    rules.validations.iter().any(counts)
        || rules.properties.iter().any(below)
        || rules.items.as_ref().is_some_and(|rules| items.any(|v| can_break(rules, v, is_update)))
        || rules.additional_properties.is_some()
        || branches.into_iter().any(|rules| can_break(rules, value, is_update))
}

/// Converts a structural schema to JSON Schema that rejects unknown fields.
fn strict(schema: &Value) -> Value {
    let Some(structural) = schema.as_object() else { return schema.clone() };
    let mut strict = Map::new();
    for (keyword, value) in structural {
        let value = match keyword.as_str() {
            "properties" => each_strict(value),
            "items" | "additionalProperties" => strict_schema_of(value),
            keyword if keyword.starts_with("x-kubernetes-") => continue,
            // These keywords do not constrain the value.
            "nullable" | "default" | "description" | "title" | "format" => continue,
            _ => value.clone(),
        };
        strict.insert(keyword.clone(), value);
    }
    say_what_kubernetes_says(structural, &mut strict);
    Value::Object(strict)
}

fn each_strict(properties: &Value) -> Value {
    let properties = properties.as_object().into_iter().flatten();
    properties.map(|(name, schema)| (name.clone(), strict(schema))).collect()
}

fn strict_schema_of(value: &Value) -> Value {
    if value.is_object() { strict(value) } else { value.clone() }
}

/// Translates the Kubernetes keywords of a structural schema to JSON Schema.
fn say_what_kubernetes_says(structural: &Map<String, Value>, strict: &mut Map<String, Value>) {
    let says = |keyword: &str| structural.get(keyword) == Some(&Value::Bool(true));
    if says("x-kubernetes-int-or-string") {
        strict.remove("anyOf");
        strict.insert("type".into(), json!(["integer", "string"]));
    }
    if structural.contains_key("properties")
        && !structural.contains_key("additionalProperties")
        && !says("x-kubernetes-preserve-unknown-fields")
    {
        strict.insert("additionalProperties".into(), json!(false));
    }
    if structural.get("x-kubernetes-list-type") == Some(&json!("set")) {
        strict.insert("uniqueItems".into(), json!(true));
    }
    if says("nullable") {
        if let Some(kind) = strict.get_mut("type") {
            *kind = json!([kind.take(), "null"]);
        }
        if let Some(Value::Array(options)) = strict.get_mut("enum") {
            options.push(Value::Null);
        }
    }
}

/// Drops nulls that the schema does not allow, and sets defaults, in place.
fn complete(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
                complete_field(name, schema, fields);
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                items.iter_mut().for_each(|item| complete(schema, item));
            }
        }
        _ => {}
    }
}

fn complete_field(name: &str, schema: &Value, fields: &mut Map<String, Value>) {
    let nullable = schema["nullable"] == Value::Bool(true);
    if !nullable && fields.get(name) == Some(&Value::Null) {
        fields.shift_remove(name);
    }
    match (fields.get_mut(name), schema.get("default")) {
        (Some(value), _) => complete(schema, value),
        (None, Some(default)) => {
            let mut value = default.clone();
            complete(schema, &mut value);
            fields.insert(name.into(), value);
        }
        (None, None) => {}
    }
}

/// An error of the schema in the API server's wording. The value is included only if it is one of
/// few: other values may be long, or secret.
fn faults(error: &jsonschema::ValidationError<'_>) -> Vec<String> {
    use ValidationErrorKind as Kind;
    let path = field_path(error.instance_path());
    let fault = match error.kind() {
        Kind::AdditionalProperties { unexpected } => {
            return unexpected.iter().map(|name| unknown_field(&path, name)).collect();
        }
        Kind::Required { property } => {
            return vec![format!("{}: Required value", join(&path, text(property)))];
        }
        Kind::UniqueItems => return vec![format!("{path}: Duplicate value")],
        Kind::Enum { options } => {
            return vec![format!("{path}: Unsupported value: supported values: {options}")];
        }
        Kind::Type { .. } => format!("must be of type {}", type_names(error)),
        Kind::MinLength { limit } => format!("must be at least {}", counted(*limit, "character")),
        Kind::MaxLength { limit } => format!("must be at most {}", counted(*limit, "character")),
        Kind::MinItems { limit } => format!("must have at least {}", counted(*limit, "item")),
        Kind::MaxItems { limit } => format!("must have at most {}", counted(*limit, "item")),
        Kind::Minimum { limit } => format!("must be at least {}", integral(limit)),
        Kind::Maximum { limit } => format!("must be at most {}", integral(limit)),
        Kind::Pattern { pattern } => format!("must match '{pattern}'"),
        _ => error.masked().to_string(),
    };
    vec![format!("{path}: Invalid value: {fault}")]
}

fn unknown_field(path: &str, name: &str) -> String {
    format!("unknown field {:?}", join(path, name))
}

fn type_names(error: &jsonschema::ValidationError<'_>) -> String {
    use jsonschema::error::TypeKind;
    match error.kind() {
        ValidationErrorKind::Type { kind: TypeKind::Single(kind) } => kind.to_string(),
        ValidationErrorKind::Type { kind: TypeKind::Multiple(kinds) } => {
            kinds.iter().map(|kind| kind.to_string()).collect::<Vec<_>>().join(" or ")
        }
        _ => String::new(),
    }
}

fn counted(count: u64, unit: &str) -> String {
    if count == 1 { format!("{count} {unit}") } else { format!("{count} {unit}s") }
}

/// The limits of a CRD are floating-point numbers; ours are integers.
fn integral(limit: &Value) -> String {
    limit.as_f64().map_or_else(|| limit.to_string(), |number| number.to_string())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Converts `/spec/forwardHeaders/0` to the API server's notation: `spec.forwardHeaders[0]`.
fn field_path(pointer: &jsonschema::paths::Location) -> String {
    use jsonschema::paths::LocationSegment;
    pointer.iter().fold(String::new(), |path, segment| match segment {
        LocationSegment::Property(name) => join(&path, &name),
        LocationSegment::Index(index) => format!("{path}[{index}]"),
    })
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.into() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests;
