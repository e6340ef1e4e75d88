//! Deliveries of all replicas as one list, through the API server, for who has the right to.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::helm::{Helm, RELEASE};
use crate::support::http::{as_app, post};
use crate::support::listener::Listener;
use crate::support::node::Node;
use crate::support::operator::command;
use crate::team::{self, TEAM, await_webhook};
use crate::volumes::Volumes;
use crate::{await_service, images, kubectl};

/// Enough for each of three replicas to get some.
const TRIGGERS: usize = 24;

#[test]
fn deliveries_of_all_replicas_are_one_list_for_who_may_read_them() {
    let volumes = Volumes::new();
    let node = Node::start(&images());
    for namespace in [RELEASE, TEAM] {
        team::make_namespace(&node, namespace);
    }
    volumes.declare(&node);
    let mut helm = Helm::new(&node);
    helm.set(&["replicaCount=3", "listeners.allowManualEndpoints=true"]);
    helm.install();
    let listener = Listener::start_at(node.host_ip());
    let address = listener.url.trim_start_matches("http://").trim_end_matches('/');
    team::make_app_outside(&node, "recorder", address.parse().expect("an address"));
    let url = await_webhook(&node, "recorder");
    let service = await_service(&node, RELEASE, RELEASE);

    let mut accepted: Vec<String> =
        (0..TRIGGERS).map(|_| post(&team::at(&url, &service), "{}").stored()).collect();
    // Ids ascend with time, to the millisecond over several replicas.
    accepted.sort();
    accepted.reverse();
    let admin = node.kubeconfig();
    assert_eq!(listed(admin, &["-A"]), accepted);
    assert_eq!(
        listed(admin, &["-n", TEAM, "--webhook", "recorder", "--limit", "3"]),
        accepted[..3]
    );

    let shown = run(admin, &["show", &accepted[0], "-o", "json"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    assert_eq!(shown["body"]["text"], json!("{}"));

    let jane = who_may_edit_in_the_team(&node);
    assert_eq!(listed(&jane, &["-n", TEAM]), accepted);
    // As jane, with a token that is good for nothing else: who may make her tokens may.
    let account = format!("{TEAM}/jane");
    assert_eq!(listed(admin, &["-n", TEAM, "--service-account", &account]), accepted);
    each_replica_answers_for_all(&node, &accepted);
    let refused = run(&jane, &["list", "-A"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert_eq!(said.matches("you may not list webhooks/deliveries").count(), 1, "{said}");

    all_is_well(admin);
    // The URL leads nowhere from here; a replica's trigger port is reached by way of the API server.
    let sent = &["trigger", "recorder", "-n", TEAM, "--through-cluster"];
    let said = succeeds(&program(admin, sent));
    assert!(
        said.contains("Delivered to the listener of recorder, which responded with 200"),
        "{said}"
    );
}

/// What `status` says of all namespaces: everything was looked at, and is well.
fn all_is_well(kubeconfig: &Path) {
    let said = succeeds(&program(kubeconfig, &["status", "-A"]));
    let well =
        "All is well: 1 app and 1 webhook in all namespaces; 3 ready replicas of the operator.";
    assert_eq!(said.trim_end(), well);
}

fn succeeds(output: &Output) -> String {
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

/// As a program in the cluster asks: one pod, by its address.
fn each_replica_answers_for_all(node: &Node, accepted: &[String]) {
    let token = kubectl(node, &["-n", TEAM, "create", "token", "jane"]);
    let path = "jsonpath={.items[*].status.podIP}";
    let pods = kubectl(node, &["-n", RELEASE, "get", "pods", "-o", path]);
    let pods: Vec<_> = pods.split_whitespace().collect();
    assert_eq!(pods.len(), 3);
    for pod in pods {
        let url = format!("http://{pod}:9090/api/deliveries?namespace={TEAM}&limit=500");
        let list = as_app("GET", &url, token.trim(), "").json();
        let items = list["items"].as_array().unwrap_or_else(|| panic!("{list}"));
        let ids: Vec<_> = items.iter().map(|item| item["id"].as_str().expect("an id")).collect();
        assert_eq!(
            (ids, &list["unavailable"]),
            (accepted.iter().map(|id| &**id).collect(), &json!([]))
        );
    }
}

fn run(kubeconfig: &Path, words: &[&str]) -> Output {
    program(kubeconfig, &[&["deliveries"], words].concat())
}

fn program(kubeconfig: &Path, words: &[&str]) -> Output {
    let flags = ["--kubeconfig", kubeconfig.to_str().expect("UTF-8")];
    command(&[words, &flags].concat()).output().expect("start the program")
}

/// The ids that `deliveries list` has.
fn listed(kubeconfig: &Path, flags: &[&str]) -> Vec<String> {
    let output = run(kubeconfig, &[&["list", "-o", "json"], flags].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    let list: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let items = list["items"].as_array().expect("items");
    items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

/// Somebody with the role `edit` in the team's namespace, and the way to the operator's pods that
/// docs/deliveries.md has.
fn who_may_edit_in_the_team(node: &Node) -> std::path::PathBuf {
    kubectl(node, &["-n", TEAM, "create", "serviceaccount", "jane"]);
    let account = format!("--serviceaccount={TEAM}:jane");
    let bind = |namespace: &str, role: &str| {
        kubectl(node, &["-n", namespace, "create", "rolebinding", "jane", role, &account]);
    };
    bind(TEAM, "--clusterrole=edit");
    node.apply(
        &json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": "deliveries", "namespace": RELEASE},
            "rules": [
                {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
                {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]},
            ],
        })
        .to_string(),
    );
    bind(RELEASE, "--role=deliveries");
    node.kubeconfig_as(TEAM, "jane")
}
