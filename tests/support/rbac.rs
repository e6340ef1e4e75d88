//! The rights that the chart gives the operator, as its snapshots render them.

use serde_json::{Value, json};

const CLUSTER_WIDE: &str = include_str!("../kubernetes/chart/snapshots/defaults.yaml");
const NAMED_SECRETS: &str = include_str!("../kubernetes/chart/snapshots/named-secrets.yaml");
const WATCHING: &str = include_str!("../kubernetes/chart/snapshots/watch-namespaces.yaml");

/// The operator's ServiceAccount in a namespace, with rights in all.
pub fn cluster_wide(namespace: &str) -> String {
    list(objects(CLUSTER_WIDE, namespace, None))
}

/// The operator's ServiceAccount in a namespace, with rights in all but for Secrets: of those it may read
/// the one named `gh` of another namespace.
pub fn naming_secrets(namespace: &str, of: &str) -> String {
    list(objects(NAMED_SECRETS, namespace, Some(of)))
}

/// The operator's ServiceAccount in a namespace, with rights in another one alone.
pub fn watching(namespace: &str, watched: &str) -> String {
    list(objects(WATCHING, namespace, Some(watched)))
}

/// What the chart has for people: the admission policy and the roles that nothing of the operator has.
pub fn for_people() -> String {
    let all: Vec<Value> = serde_saphyr::from_multiple(CLUSTER_WIDE).expect("YAML");
    let policies = ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"];
    let is_policy =
        |object: &Value| policies.contains(&object["kind"].as_str().unwrap_or_default());
    list(all.into_iter().filter(|object| is_policy(object) || is_for_people(object)).collect())
}

fn is_for_people(object: &Value) -> bool {
    let metadata = &object["metadata"];
    let may_adopt = metadata["name"].as_str().is_some_and(|name| name.contains("-adopt:"));
    may_adopt || metadata["labels"].to_string().contains("aggregate-to-")
}

fn list(items: Vec<Value>) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

/// The snapshots are of the namespace `webhook-operator`, and watch `team-a` and `team-b`.
fn objects(snapshot: &str, namespace: &str, watched: Option<&str>) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(snapshot).expect("YAML");
    let kinds = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];
    let is_right = |object: &Value| {
        kinds.contains(&object["kind"].as_str().unwrap_or_default())
            && !is_for_people(object)
            && object["metadata"]["namespace"] != "team-b"
    };
    let place = |object: Value| {
        let text = object.to_string();
        let text = text
            .replace(r#""namespace":"webhook-operator""#, &format!(r#""namespace":"{namespace}""#))
            .replace(
                r#""namespace":"team-a""#,
                &format!(r#""namespace":"{}""#, watched.unwrap_or("team-a")),
            )
            // What has no namespace has it in its name.
            .replace(":webhook-operator\"", &format!(":{namespace}\""));
        serde_json::from_str(&text).expect("JSON")
    };
    all.into_iter().filter(is_right).map(place).collect()
}
