//! Parses the text of a document into the objects that it declares.

use std::path::Path;

use serde_json::{Map, Value};

use super::documents::YamlDocument;
use super::problems::Problem;
use crate::plan::{Key, Kind, ObjectRef};
use crate::resources::validate::{Invalid, is_label, is_subdomain};

/// The namespace of objects without one.
const DEFAULT_NAMESPACE: &str = "default";

/// The kinds that manifests may declare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ManifestKind {
    /// A kind of this operator, with a status.
    Custom(Kind),
    /// `Service`: where a listener is.
    Service,
    /// `Secret`: how triggers are verified.
    Secret,
}

impl ManifestKind {
    /// The kind in YAML.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Custom(kind) => kind.as_str(),
            Self::Service => "Service",
            Self::Secret => "Secret",
        }
    }
}

/// Identifies an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId {
    /// Its kind.
    pub kind: ManifestKind,
    /// Its namespace and name, which are safe as parts of a path.
    pub key: Key,
}

impl ObjectId {
    /// The object with a status.
    pub fn custom(kind: Kind, key: Key) -> Self {
        Self { kind: ManifestKind::Custom(kind), key }
    }

    /// The object in log messages.
    pub fn subject(&self) -> String {
        format!("{} {}", self.kind.as_str(), self.key)
    }

    /// The object, if it has a status.
    pub fn with_status(&self) -> Option<ObjectRef> {
        match self.kind {
            ManifestKind::Custom(kind) => Some(ObjectRef { kind, key: self.key.clone() }),
            ManifestKind::Service | ManifestKind::Secret => None,
        }
    }
}

/// An object in a document.
#[derive(Debug)]
pub struct Item {
    /// Its identity.
    pub id: ObjectId,
    /// The whole object, including its namespace.
    pub value: Value,
}

/// Parses one document. A list yields its items. A bad object does not affect the others.
///
/// # Errors
/// If the text is not YAML (or JSON, depending on the file name).
pub fn parse(path: &Path, document: &YamlDocument) -> Result<Vec<Result<Item, Problem>>, Problem> {
    let value = parse_text(path, &document.text).map_err(|(offset, why)| {
        let line = offset.map_or(document.line, |offset| document.start + offset);
        Problem::broken(line, document.fingerprint(), why)
    })?;
    let mut items = Vec::new();
    collect(value, document.line, &mut items);
    Ok(items)
}

/// The number of lines before the error, and a description.
type ParseError = (Option<u32>, String);

fn parse_text(path: &Path, text: &[u8]) -> Result<Value, ParseError> {
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        return serde_json::from_slice(text).map_err(|error| {
            let line = u32::try_from(error.line()).unwrap_or(1);
            (Some(line.saturating_sub(1)), format!("this is not JSON: {error}"))
        });
    }
    let text = std::str::from_utf8(text).map_err(|_| (None, "this is not UTF-8 text".into()))?;
    from_yaml(text).map_err(|(offset, why)| (offset, format!("this is not YAML: {why}")))
}

/// Parses a single YAML document.
///
/// # Errors
/// The number of lines before the error, and a description.
pub fn from_yaml<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T, ParseError> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        emit_comments: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().and_then(|location| u32::try_from(location.line()).ok());
        // Removes the position in the document, because messages contain the position in the file,
        // and advice for programmers.
        let why = error.to_string();
        let why = [" at line ", ", set DuplicateKeyPolicy"]
            .iter()
            .fold(why.as_str(), |why, end| why.split(end).next().unwrap_or(why))
            .replace('\n', " ");
        (line.map(|line| line.saturating_sub(1)), why)
    })
}

fn collect(value: Value, line: u32, items: &mut Vec<Result<Item, Problem>>) {
    match into_list(value) {
        Ok(list) => list.into_iter().for_each(|item| collect(item, line, items)),
        Err(value) => items.push(identify(value, line)),
    }
}

/// The items of a list. Returns any other value unchanged.
fn into_list(mut value: Value) -> Result<Vec<Value>, Value> {
    let kind = value["kind"].as_str().unwrap_or_default();
    let Some(item_kind) = kind.strip_suffix("List").map(str::to_owned) else { return Err(value) };
    let version = value["apiVersion"].clone();
    let Some(Value::Array(mut list)) = value.get_mut("items").map(Value::take) else {
        return Err(value);
    };
    // The items of a typed list may omit their kind.
    for item in list.iter_mut().filter_map(Value::as_object_mut).filter(|_| !item_kind.is_empty()) {
        item.entry("apiVersion").or_insert_with(|| version.clone());
        item.entry("kind").or_insert_with(|| item_kind.as_str().into());
    }
    Ok(list)
}

/// Determines the kind and the key of an object.
fn identify(mut value: Value, line: u32) -> Result<Item, Problem> {
    let Some(object) = value.as_object_mut() else {
        return Err(Problem::of_text(line, "this is not an object".into()));
    };
    let kind = kind_of(object).map_err(|why| Problem::of_text(line, why))?;
    let key = key(object).map_err(|why| Problem::new(line, kind.as_str(), why))?;
    Ok(Item { id: ObjectId { kind, key }, value })
}

fn kind_of(object: &Map<String, Value>) -> Result<ManifestKind, String> {
    let text = |field: &str| object.get(field).and_then(Value::as_str);
    let (Some(version), Some(kind)) = (text("apiVersion"), text("kind")) else {
        return Err("this is not a Kubernetes object: apiVersion or kind is missing".into());
    };
    match (version, kind) {
        ("lenra.io/v1alpha1", "WebhookApp") => Ok(ManifestKind::Custom(Kind::WebhookApp)),
        ("lenra.io/v1alpha1", "Webhook") => Ok(ManifestKind::Custom(Kind::Webhook)),
        ("v1", "Service") => Ok(ManifestKind::Service),
        ("v1", "Secret") => Ok(ManifestKind::Secret),
        _ => Err(format!(
            "kind {kind:?} of apiVersion {version:?} is not supported: only WebhookApp and Webhook \
             of lenra.io/v1alpha1, and Service and Secret of v1"
        )),
    }
}

/// Namespace and name, both safe as parts of a path. Sets the default namespace if there is none.
fn key(object: &mut Map<String, Value>) -> Result<Key, Invalid> {
    let metadata = object.entry("metadata").or_insert_with(|| Map::new().into());
    let Some(metadata) = metadata.as_object_mut() else {
        return Err(Invalid::field("metadata", "must be of type object"));
    };
    let text = |field: &str| match metadata.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(Invalid::field(&format!("metadata.{field}"), "must be of type string")),
    };
    let namespace = text("namespace")?.filter(|text| !text.is_empty()).unwrap_or(DEFAULT_NAMESPACE);
    let name = text("name")?.ok_or_else(|| Invalid::required("metadata.name"))?;
    let key = Key::new(namespace, name);
    check_key(&key)?;
    metadata.insert("namespace".into(), key.namespace.as_ref().into());
    Ok(key)
}

/// Checks that namespace and name are valid, because they become parts of a path.
///
/// # Errors
/// Which of the two is invalid.
pub fn check_key(key: &Key) -> Result<(), Invalid> {
    if !is_label(&key.namespace) {
        let fault = "must be a DNS label: at most 63 of a-z, 0-9 and -";
        return Err(Invalid::field("metadata.namespace", fault));
    }
    if !is_subdomain(&key.name) {
        let fault = "must be a DNS subdomain: at most 253 of a-z, 0-9, - and .";
        return Err(Invalid::field("metadata.name", fault));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(path: &str, text: &str) -> Vec<String> {
        let reported = |item: Result<Item, Problem>| match item {
            Ok(item) => item.id.subject(),
            Err(problem) => problem.message(Path::new(path)),
        };
        let document = YamlDocument { start: 1, line: 1, text: text.into() };
        match parse(Path::new(path), &document) {
            Ok(items) => items.into_iter().map(reported).collect(),
            Err(problem) => vec![problem.message(Path::new(path))],
        }
    }

    #[test]
    fn an_object_is_known_by_its_kind_namespace_and_name() {
        let ours = "apiVersion: lenra.io/v1alpha1\nkind: ";
        let cases = [
            (format!("{ours}Webhook\nmetadata: {{name: a, namespace: b}}"), "Webhook b/a"),
            (format!("{ours}WebhookApp\nmetadata: {{name: a}}"), "WebhookApp default/a"),
            (
                format!("{ours}WebhookApp\nmetadata: {{name: a, namespace: null}}"),
                "WebhookApp default/a",
            ),
            ("{apiVersion: v1, kind: Service, metadata: {name: a}}".into(), "Service default/a"),
            ("{apiVersion: v1, kind: Secret, metadata: {name: a}}".into(), "Secret default/a"),
        ];
        for (text, subject) in cases {
            assert_eq!(reported("a.yaml", &text), [subject], "{text}");
        }
        let json = r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"}}"#;
        assert_eq!(reported("a.json", json), ["Service default/a"]);
    }

    #[test]
    fn a_list_gives_its_items() {
        let list = "apiVersion: v1\nkind: List\nitems:\n\
            - {apiVersion: v1, kind: Service, metadata: {name: a}}\n\
            - {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n";
        let found = reported("a.yaml", list);
        assert_eq!(found[0], "Service default/a");
        assert!(found[1].contains("kind \"ConfigMap\""), "{}", found[1]);
        let typed =
            "apiVersion: lenra.io/v1alpha1\nkind: WebhookList\nitems:\n- metadata: {name: a}\n";
        assert_eq!(reported("a.yaml", typed), ["Webhook default/a"]);
    }

    #[test]
    fn what_cannot_be_read_is_reported_with_its_line() {
        let ours = "apiVersion: lenra.io/v1alpha1\nkind: Webhook\n";
        let cases = [
            ("a: 1\nb: [\n", "a.yaml:"),
            ("a: 1\na: 2\n", "a.yaml:2: this is not YAML: duplicate mapping key: a"),
            ("- a\n", "a.yaml:1: this is not an object"),
            ("a: 1\n", "a.yaml:1: this is not a Kubernetes object"),
            (
                "{apiVersion: v1, kind: Pod}",
                "a.yaml:1: kind \"Pod\" of apiVersion \"v1\" is not supported",
            ),
            (
                "{apiVersion: lenra.io/v1, kind: Webhook}",
                "apiVersion \"lenra.io/v1\" is not supported",
            ),
            (&format!("{ours}metadata: {{}}"), "a.yaml:1: Webhook: metadata.name: Required value"),
            (&format!("{ours}metadata: x"), "Webhook: metadata: Invalid value"),
            (&format!("{ours}metadata: {{name: ../x}}"), "Webhook: metadata.name: Invalid value"),
            (
                &format!("{ours}metadata: {{name: a, namespace: ..}}"),
                "Webhook: metadata.namespace: Invalid",
            ),
            (
                &format!("{ours}metadata: {{name: 1}}"),
                "metadata.name: Invalid value: must be of type string",
            ),
        ];
        for (text, expected) in cases {
            let found = reported("a.yaml", text);
            assert!(found.len() == 1 && found[0].contains(expected), "{text}\n  {found:?}");
            assert!(!found[0].contains('\n'), "{found:?}");
        }
        assert!(reported("a.json", "{\n,}")[0].starts_with("a.json:2: this is not JSON: "));
        let binary = YamlDocument { start: 1, line: 1, text: b"a: \xff".into() };
        let binary = parse(Path::new("a.yaml"), &binary).unwrap_err();
        assert_eq!(binary.message(Path::new("a.yaml")), "a.yaml:1: this is not UTF-8 text");
    }

    #[test]
    fn yaml_keeps_what_json_would_say() {
        let text =
            "a: 1\nb: 1.0\nc: '1'\nd: yes\ne: ~\nf: 9223372036854775807\ng: \"\\u00e9\"\nh: 1e3\n";
        let value: Value = from_yaml(text).unwrap();
        let json = r#"{"a":1,"b":1.0,"c":"1","d":true,"e":null,"f":9223372036854775807,"g":"é","h":1000.0}"#;
        assert_eq!(value.to_string(), json);
    }
}
