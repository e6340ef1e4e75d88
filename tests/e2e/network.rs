//! Services on the node: their names and addresses lead to pods.

use std::collections::BTreeSet;

use crate::support::admin::Admin;
use crate::support::http::request;
use crate::support::listener::Listener;
use crate::support::node::Node;
use crate::support::operator::eventually;
use crate::{await_rollout, await_service, images, kubectl};

/// Two listeners that answer with the names of their pods, and have a shell and curl.
const LISTENERS: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: listener}
spec:
  replicas: 2
  selector: {matchLabels: {app: listener}}
  template:
    metadata: {labels: {app: listener}}
    spec:
      containers:
      - name: listener
        image: webhook-operator-tools:e2e
        args: [listen, --host, 0.0.0.0, --port, '8080', --body, $(POD)]
        env: [{name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
        readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: listener}
spec: {selector: {app: listener}, ports: [{port: 80, targetPort: 8080}]}
";

/// Enough to miss one of two pods less than once in a billion times.
const CALLS: usize = 30;

#[test]
fn two_replicas_share_the_calls_of_a_pod_by_name_and_of_the_machine_by_address() {
    let node = Node::start(&images());
    node.apply(LISTENERS);
    await_rollout(&node, "default", "listener");
    let pods = names_of_pods(&node);
    assert_eq!(pods.len(), 2, "{pods:?}");

    // The Service has both once its rules followed their readiness.
    let address = await_service(&node, "default", "listener");
    let call = |_| request("POST", &format!("http://{address}/?from=machine"), &[], b"{}").body;
    eventually("both pods to answer the machine", || {
        ((0..CALLS).map(call).collect::<BTreeSet<_>>() == pods).then_some(())
    });
    assert_eq!(answers_in_pod(&node, "http://listener.default.svc.cluster.local/?from=pod"), pods);
    assert_eq!(answers_in_pod(&node, "http://listener/"), pods, "by the short name");

    for pod in &pods {
        let log = kubectl(&node, &["logs", pod]);
        assert!(log.contains("/?from=pod") && log.contains("/?from=machine"), "{log}");
    }
}

#[test]
fn a_pod_reaches_the_machine() {
    let node = Node::start(&images());
    node.apply(LISTENERS);
    await_rollout(&node, "default", "listener");
    let listener = Listener::start_at(node.host_ip());
    kubectl(
        &node,
        &["exec", "deployment/listener", "--", "curl", "-sS", "-d", "{}", &listener.url],
    );
    assert_eq!(listener.call().text(), "{}");
}

#[test]
fn a_pod_reaches_the_api_server_as_its_service_account() {
    let node = Node::start(&images());
    node.apply(LISTENERS);
    await_rollout(&node, "default", "listener");
    // The file has no newline at its end, at which `read` complains.
    let script = "cd /var/run/secrets/kubernetes.io/serviceaccount
        read -r token <token || true
        curl -sS --cacert ca.crt -H \"Authorization: Bearer $token\" \
            https://kubernetes.default.svc/api/v1/namespaces/default/pods";
    let refusal = kubectl(&node, &["exec", "deployment/listener", "--", "sh", "-ec", script]);
    assert!(refusal.contains("system:serviceaccount:default:default"), "{refusal}");
}

fn names_of_pods(admin: &Admin) -> BTreeSet<String> {
    let args = ["get", "pods", "-l=app=listener", "-o=jsonpath={.items[*].metadata.name}"];
    kubectl(admin, &args).split(' ').map(str::to_owned).collect()
}

/// Who answers a pod that calls a URL, each time over a connection of its own.
fn answers_in_pod(admin: &Admin, url: &str) -> BTreeSet<String> {
    let script =
        format!("for call in {}; do curl -sS -d {{}} '{url}'; echo; done", "1 ".repeat(CALLS));
    let said = kubectl(admin, &["exec", "deployment/listener", "--", "sh", "-ec", &script]);
    said.lines().map(str::to_owned).collect()
}
