//! What the chart renders, as files to read and to compare with, each valid for a real API server.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test --test kubernetes chart::snapshots` writes them anew. They leave out
//! the CRDs, which are long and generated: those are compared with `crds/`.

use std::env;
use std::fs;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition as Crd;
use serde_json::{Value, json};

use super::helm::{NAME, chart, lint, object, objects, project, render, tool};
use crate::support::cluster::Cluster;
use crate::support::operator::output;

/// The snapshots, each with the values of its name; the defaults have none.
const CASES: [&str; 7] = [
    "defaults",
    "everything",
    "watch-namespaces",
    "named-secrets",
    "no-persistence",
    "http-route",
    "ingress",
];

/// Kinds that no API server here knows.
const FOREIGN: [&str; 2] = ["PrometheusRule", "ServiceMonitor"];

fn flags(case: &str) -> Vec<String> {
    if case == "defaults" {
        return Vec::new();
    }
    let path = project("tests/kubernetes/chart/values").join(format!("{case}.yaml"));
    vec!["--values".into(), path.to_str().expect("UTF-8").into()]
}

fn rendering(case: &str) -> String {
    let flags = flags(case);
    render(&flags.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The documents of a rendering, CRDs apart.
fn without_crds(rendered: &str) -> String {
    let documents = rendered.split_inclusive("\n---\n");
    documents.filter(|text| !text.contains("kind: CustomResourceDefinition\n")).collect()
}

#[test]
fn the_chart_renders_what_the_snapshots_say() {
    for case in CASES {
        let path = project("tests/kubernetes/chart/snapshots").join(format!("{case}.yaml"));
        let rendered = without_crds(&rendering(case));
        if env::var_os("UPDATE_SNAPSHOTS").is_some() {
            fs::write(&path, &rendered).expect("write the snapshot");
        }
        let snapshot = fs::read_to_string(&path).unwrap_or_default();
        if let Some((line, (is, was))) =
            rendered.lines().zip(snapshot.lines()).enumerate().find(|(_, (is, was))| is != was)
        {
            panic!("{case}.yaml:{}: renders\n{is}\ninstead of\n{was}", line + 1);
        }
        assert_eq!(rendered, snapshot, "{case}.yaml");
    }
}

#[test]
fn every_case_passes_a_strict_lint() {
    for case in CASES {
        let flags = flags(case);
        let linted = lint(&flags.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(linted.is_ok(), "{case}: {linted:?}");
    }
}

#[test]
fn the_program_knows_every_argument_that_the_chart_gives_it() {
    for case in CASES {
        let set = object(&rendering(case), "StatefulSet");
        let args = set.pointer("/spec/template/spec/containers/0/args").expect("arguments");
        let args = args.as_array().expect("a list").iter().filter_map(Value::as_str);
        // What comes before --help is read and checked.
        let output = output(&args.chain(["--help"]).collect::<Vec<_>>());
        assert!(output.status.success(), "{case}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn persistence_is_the_default_and_no_volume_goes_by_itself() {
    let set = object(&rendering("defaults"), "StatefulSet");
    let retain = json!({"whenScaled": "Retain", "whenDeleted": "Retain"});
    assert_eq!(set["spec"]["persistentVolumeClaimRetentionPolicy"], retain);
    assert_eq!(set["spec"]["volumeClaimTemplates"][0]["metadata"]["name"], "data");
}

#[test]
fn the_admission_policy_is_the_default_and_no_role_that_people_have_anyway_may_adopt() {
    let rendered = rendering("defaults");
    let binding = object(&rendered, "ValidatingAdmissionPolicyBinding");
    assert_eq!(binding["spec"]["validationActions"], json!(["Deny"]));
    let policy = object(&rendered, "ValidatingAdmissionPolicy");
    assert_eq!(binding["spec"]["policyName"], policy["metadata"]["name"]);
    let may_adopt = |role: &Value| {
        ["adopt", "*"].iter().any(|verb| role["rules"].to_string().contains(&format!("\"{verb}\"")))
    };
    let names: Vec<_> = objects(&rendered)
        .into_iter()
        .filter(may_adopt)
        .map(|role| (role["metadata"]["name"].clone(), role["metadata"]["labels"].to_string()))
        .collect();
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(names[0].0, "webhook-operator-adopt:webhook-operator");
    assert!(!names[0].1.contains("aggregate-to-"));
    let without = render(&["--set", "admissionPolicy.enabled=false"]);
    assert!(!without.contains("ValidatingAdmissionPolicy") && !without.contains("adopt:"));
}

/// Bytes of a quantity with a binary unit.
fn bytes(quantity: &str) -> u64 {
    let (number, unit) = quantity.split_at(quantity.len() - 2);
    let power = ["Ki", "Mi", "Gi"].iter().position(|known| *known == unit).expect("a binary unit");
    number.parse::<u64>().expect("a number") << (10 * (power + 1))
}

#[test]
fn the_queue_its_log_and_what_is_left_free_fit_in_the_volume() {
    let values = fs::read_to_string(chart().join("values.yaml")).expect("the values");
    let values: Value = serde_saphyr::from_str(&values).expect("YAML");
    let text = |path: &str| values.pointer(path).and_then(Value::as_str).expect("a text");
    let (volume, queue) = (bytes(text("/persistence/size")), bytes(text("/queue/maxBytes")));
    // As docs/delivery.md has it: 64 MiB for the log, and 64 MiB that are left free.
    assert!(queue + (128 << 20) < volume, "{queue} of {volume}");
}

#[test]
fn the_api_server_accepts_every_case_and_warns_of_none() {
    let cluster = cluster();
    for case in CASES {
        let mut accepted = objects(&rendering(case));
        accepted.retain(|object| !FOREIGN.iter().any(|kind| object["kind"] == *kind));
        let list = json!({"apiVersion": "v1", "kind": "List", "items": accepted}).to_string();
        let args = ["apply", "--server-side", "--dry-run=server", "-f", "-"];
        let output = cluster.kubectl_stdin(&args, &list);
        // A warning would be of the Pod Security Standard, or of a field that is on its way out.
        assert!(output.ok && output.stderr.is_empty(), "{case}: {}", output.stderr);
    }
}

/// An API server with the chart's CRDs and the Gateway API's, and namespaces that hold pods to the
/// standard `restricted`.
fn cluster() -> Cluster {
    let cluster = Cluster::start();
    for folder in [chart().join("files/crds"), tool("gateway-api")] {
        let folder = folder.to_str().expect("UTF-8");
        let output = cluster.kubectl(&["apply", "--server-side", "-f", folder]);
        assert!(output.ok, "{}", output.stderr);
    }
    let established = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"];
    assert!(cluster.kubectl(&established).ok);
    for namespace in [NAME, "team-a", "team-b"] {
        cluster.apply(&restricted(namespace).to_string());
    }
    cluster
}

fn restricted(namespace: &str) -> Value {
    let level = |mode: &str| format!("pod-security.kubernetes.io/{mode}");
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": namespace,
            "labels": {level("enforce"): "restricted", level("warn"): "restricted"},
        },
    })
}

#[test]
fn the_chart_has_the_crds_of_the_program_and_keeps_them() {
    let mut found = objects(&rendering("defaults"));
    found.retain(|object| object["kind"] == "CustomResourceDefinition");
    let mut found: Vec<Crd> =
        found.into_iter().map(|object| serde_json::from_value(object).expect("a CRD")).collect();
    for crd in &mut found {
        let annotations = crd.metadata.annotations.take().expect("annotations");
        assert_eq!(annotations["helm.sh/resource-policy"], "keep");
        let labels = crd.metadata.labels.take().expect("labels");
        assert_eq!(labels["app.kubernetes.io/name"], NAME);
    }
    let expected = ["webhookapps", "webhooks"].map(|plural| {
        let path = project("crds").join(format!("lenra.io_{plural}.yaml"));
        serde_saphyr::from_str::<Crd>(&fs::read_to_string(path).expect("a CRD")).expect("YAML")
    });
    assert_eq!(found, expected);
    assert!(!render(&["--set", "crds.install=false"]).contains("CustomResourceDefinition"));
    assert!(!render(&["--set", "crds.keep=false"]).contains("resource-policy"));
}

#[test]
fn every_alert_has_what_a_rule_needs_and_looks_at_its_own_release() {
    let rendered = rendering("everything");
    let rule = object(&rendered, "PrometheusRule");
    assert_eq!(rule["apiVersion"], "monitoring.coreos.com/v1");
    let groups = rule.pointer("/spec/groups").and_then(Value::as_array).expect("groups");
    let rules: Vec<_> =
        groups.iter().filter_map(|group| group["rules"].as_array()).flatten().collect();
    assert!(!rules.is_empty());
    for rule in rules {
        let annotations =
            ["summary", "description", "runbook_url"].map(|name| format!("/annotations/{name}"));
        let fields = ["/alert", "/expr", "/labels/severity"].into_iter();
        for field in fields.chain(annotations.iter().map(String::as_str)) {
            assert!(rule.pointer(field).is_some_and(Value::is_string), "{field} of {rule}");
        }
        let expression = rule["expr"].as_str().unwrap_or_default();
        let own = [r#"{namespace="webhook-operator", "#, r#"{job="hooks""#];
        let selectors = expression.matches('{').count();
        let own = own.iter().map(|own| expression.matches(own).count()).sum::<usize>();
        assert_eq!(own, selectors, "{expression}");
    }
}

#[test]
fn the_service_monitor_gives_series_the_job_that_alerts_look_for_and_leaves_them_their_namespace() {
    let flags = ["--set", "metrics.serviceMonitor.enabled=true,prometheusRule.enabled=true"];
    let rendered = render(&flags);
    let endpoint = object(&rendered, "ServiceMonitor")["spec"]["endpoints"][0].take();
    assert_eq!(endpoint["honorLabels"], true);
    let job = json!({"targetLabel": "job", "replacement": "webhook-operator/webhook-operator"});
    assert_eq!(endpoint["relabelings"], json!([job]));
    assert!(rendered.contains(r#"{job="webhook-operator/webhook-operator"}"#));
}

#[test]
fn the_service_monitor_selects_the_admin_service_alone() {
    let rendered = rendering("everything");
    let monitor = object(&rendered, "ServiceMonitor");
    let selector = monitor["spec"]["selector"]["matchLabels"].as_object().expect("labels");
    let is_selected = |service: &&Value| {
        let labels = &service["metadata"]["labels"];
        service["kind"] == "Service" && selector.iter().all(|(name, value)| labels[name] == *value)
    };
    let all = objects(&rendered);
    let selected: Vec<_> = all.iter().filter(is_selected).collect();
    assert_eq!(selected.len(), 1);
    assert_eq!(selected[0]["metadata"]["name"], "hooks-admin");
    let port = &monitor["spec"]["endpoints"][0]["port"];
    assert_eq!(selected[0]["spec"]["ports"][0]["name"], *port);
}

#[test]
fn the_dashboard_is_json_with_a_query_in_every_panel() {
    let dashboards = object(&rendering("everything"), "ConfigMap");
    let text = dashboards["data"]["webhook-operator.json"].as_str().expect("a dashboard");
    let dashboard: Value = serde_json::from_str(text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let panels: Vec<_> = panels.iter().filter(|panel| panel["type"] != "row").collect();
    assert!(!panels.is_empty());
    for panel in panels {
        let query = panel.pointer("/targets/0/expr").and_then(Value::as_str).unwrap_or_default();
        let names_release = ["$job", "$operator_namespace"].iter().any(|name| query.contains(name));
        assert!(names_release, "{panel}");
    }
}
