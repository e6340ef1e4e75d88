//! The chart on a real node, from its installation to its end, as a platform team lives through it.

use std::fs;

use serde_json::json;

use crate::helm::{self, Helm, RELEASE};
use crate::ingress::Nginx;
use crate::processes::kill_operator;
use crate::support::http::{post, request};
use crate::support::node::Node;
use crate::support::operator::eventually;
use crate::team::{self, TEAM, await_webhook};
use crate::volumes::Volumes;
use crate::{await_operator, await_service, images, kubectl, object, operator_ips};

const EXAMPLE: &str = include_str!("../../examples/shop.yaml");

#[test]
fn the_chart_is_installed_serves_scales_is_upgraded_and_goes() {
    let volumes = Volumes::new();
    let node = Node::start(&images());
    for namespace in [RELEASE, TEAM] {
        team::make_namespace(&node, namespace);
    }
    volumes.declare(&node);
    let mut helm = Helm::new(&node);
    helm.set(&["ingress.enabled=true", "ingress.hosts[0].host=hooks.example.com"]);
    helm.install();
    team::start_shop(&node);
    node.apply(EXAMPLE);
    let url = await_webhook(&node, "payments");
    assert!(url.starts_with("http://hooks.example.com/apps/"), "{url}");

    triggers_reach_the_listener(&node, &url);
    view_reads_webhooks_and_edit_writes_them(&node);
    the_app_makes_a_webhook_with_its_own_token(&node);
    three_replicas_serve(&node, &mut helm, &url);
    a_budget_lets_one_replica_go_at_a_time(&node);
    another_replica_takes_the_lease_of_one_that_was_killed(&node);
    an_upgrade_changes_the_crds(&node, &helm, &url);
    another_host_is_in_the_urls(&node, &mut helm, &url);
    a_network_policy_is_accepted(&node, &mut helm);
    what_is_worth_keeping_outlives_the_release(&node, &helm);
}

/// Through the Service, and through the ingress by the very URL of the status.
fn triggers_reach_the_listener(node: &Node, url: &str) {
    let service = await_service(node, RELEASE, RELEASE);
    post(&team::at(url, service), r#"{"amount": "through the Service"}"#).stored();
    let nginx = Nginx::start(node, RELEASE, RELEASE);
    nginx.post(url, r#"{"amount": "through nginx"}"#).stored();
    let elsewhere = url.replace("hooks.example.com", "other.example.com");
    assert_eq!(nginx.post(&elsewhere, "{}").status, 404, "the ingress serves its host alone");
    eventually("the events in the listener's log", || {
        let log = logs_of_shop(node);
        (log.contains("through the Service") && log.contains("through nginx")).then_some(())
    });
}

/// Through the cluster's own roles, which the chart's are added to.
fn view_reads_webhooks_and_edit_writes_them(node: &Node) {
    for (role, may) in [("view", [true, false]), ("edit", [true, true])] {
        let user = format!("{role}@example.com");
        let (role, as_user) = (format!("--clusterrole={role}"), format!("--user={user}"));
        kubectl(node, &["-n", TEAM, "create", "rolebinding", &user, &role, &as_user]);
        let can = |verb: &str| {
            let args = ["-n", TEAM, "auth", "can-i", verb, "webhooks.lenra.io", "--as", &user];
            node.kubectl(&args).ok
        };
        eventually(&user, || (["get", "create"].map(can) == may).then_some(()));
    }
}

fn logs_of_shop(node: &Node) -> String {
    kubectl(node, &["-n", TEAM, "logs", "--selector=app=shop", "--tail=-1"])
}

fn the_app_makes_a_webhook_with_its_own_token(node: &Node) {
    let api = format!("http://{RELEASE}-app-api.{RELEASE}.svc:8081/app/webhooks");
    let script = format!(
        "read -r token </var/run/webhook-operator/token || test \"$token\"; \
         curl -sS --fail-with-body -X POST {api} -H 'Content-Type: application/json' \
         -H \"Authorization: Bearer $token\" \
         -d '{{\"action\": \"fromPod\", \"props\": {{\"made\": \"in a pod\"}}}}'"
    );
    let made = kubectl(node, &["-n", TEAM, "exec", "deploy/shop", "--", "sh", "-ec", &script]);
    let made: serde_json::Value = serde_json::from_str(&made).expect("JSON");
    assert_eq!(
        (&made["action"], &made["props"]),
        (&json!("fromPod"), &json!({"made": "in a pod"}))
    );
    let app = kubectl(node, &["-n", TEAM, "get", "whapp/shop", "-o=jsonpath={.status.url}"]);
    let url = format!("{app}/{}", made["uuid"].as_str().expect("a UUID"));
    // Its trigger URL works on the replica that answered, on the others a moment later.
    let url = team::at(&url, await_service(node, RELEASE, RELEASE));
    eventually("the new webhook on every replica", || {
        (0..10).all(|_| post(&url, r#"{"amount": "fromPod"}"#).status == 202).then_some(())
    });
    eventually("its event", || logs_of_shop(node).contains("in a pod").then_some(()));
}

fn three_replicas_serve(node: &Node, helm: &mut Helm, url: &str) {
    helm.set(&["replicaCount=3"]);
    helm.upgrade(&helm::chart());
    let pods = operator_ips(node);
    assert_eq!(pods.len(), 3, "{pods:?}");
    for pod in pods {
        post(&team::at(url, format!("{pod}:8080")), "{}").stored();
        let probe = format!("http://{pod}:9090/readyz");
        assert_eq!(request("GET", &probe, &[], b"").status, 200);
    }
}

fn a_budget_lets_one_replica_go_at_a_time(node: &Node) {
    let evict = |pod: &str| {
        let name = format!("{RELEASE}-{pod}");
        let eviction = json!({
            "apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": {"name": name, "namespace": RELEASE},
        });
        let path = format!("/api/v1/namespaces/{RELEASE}/pods/{name}/eviction");
        node.kubectl_stdin(&["create", "--raw", &path, "-f", "-"], &eviction.to_string())
    };
    let first = evict("0");
    assert!(first.ok, "{}", first.stderr);
    let second = evict("1");
    assert!(!second.ok && second.stderr.contains("disruption budget"), "{}", second.stderr);
    await_operator(node);
}

fn another_replica_takes_the_lease_of_one_that_was_killed(node: &Node) {
    let holder = || {
        let path = "-o=jsonpath={.spec.holderIdentity}";
        kubectl(node, &["-n", RELEASE, "get", "lease", RELEASE, path])
    };
    let killed = eventually("a holder", || Some(holder()).filter(|holder| !holder.is_empty()));
    let (pod, _) = killed.split_once('_').expect("the pod's name in the holder's");
    kill_operator(pod);
    eventually("another holder", || Some(holder()).filter(|now| !now.is_empty() && *now != killed));
    // It writes statuses.
    node.apply(&EXAMPLE.replace("name: payments", "name: refunds"));
    await_webhook(node, "refunds");
    await_operator(node);
}

fn an_upgrade_changes_the_crds(node: &Node, helm: &Helm, url: &str) {
    let chart = helm::copy_of_chart();
    let file = chart.path().join("files/crds/lenra.io_webhooks.yaml");
    let crd = fs::read_to_string(&file).expect("the CRD");
    let changed = crd.replace("shortNames:\n    - wh\n", "shortNames:\n    - wh\n    - hook\n");
    assert_ne!(crd, changed);
    fs::write(&file, changed).expect("write the CRD");
    helm.upgrade(chart.path());
    eventually("the new short name", || node.kubectl(&["get", "hook", "-A"]).ok.then_some(()));
    assert_eq!(await_webhook(node, "payments"), url);
}

fn another_host_is_in_the_urls(node: &Node, helm: &mut Helm, url: &str) {
    helm.set(&["ingress.hosts[0].host=new.example.com"]);
    helm.upgrade(&helm::chart());
    let expected = url.replace("hooks.example.com", "new.example.com");
    eventually("the new URL", || (await_webhook(node, "payments") == expected).then_some(()));
}

/// The node's network does not enforce it: that it does no harm to what it allows is not shown.
fn a_network_policy_is_accepted(node: &Node, helm: &mut Helm) {
    helm.set(&["networkPolicy.enabled=true"]);
    helm.upgrade(&helm::chart());
    let policy = object(node, RELEASE, &format!("networkpolicy/{RELEASE}"));
    assert_eq!(policy["spec"]["policyTypes"][0], "Ingress", "{policy}");
}

fn what_is_worth_keeping_outlives_the_release(node: &Node, helm: &Helm) {
    let before = await_webhook(node, "payments");
    helm.uninstall();
    // Pods serve on for a while.
    eventually("the end of everything that was installed", || {
        let all = ["get", "all,ingress,pdb,netpol,serviceaccount", "-o", "name"];
        let left = kubectl(node, &[&["-n", RELEASE][..], &all[..]].concat());
        (left == "serviceaccount/default\n").then_some(())
    });
    let cluster_wide = kubectl(node, &["get", "clusterrole,clusterrolebinding", "-o", "name"]);
    assert!(!cluster_wide.contains(RELEASE), "{cluster_wide}");
    kubectl(node, &["-n", RELEASE, "get", "secret/webhook-operator-identity"]);
    assert!(node.kubectl(&["-n", TEAM, "get", "webhook/payments"]).ok, "webhooks are kept");
    // Installed again, it takes up what was left.
    helm.install();
    assert_eq!(await_webhook(node, "payments"), before);
    post(&team::at(&before, await_service(node, RELEASE, RELEASE)), "{}").stored();
    helm.uninstall();
}
