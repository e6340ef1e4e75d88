//! What a team has in its namespace: an app, its webhooks, and a listener.

use std::net::SocketAddr;

use serde_json::json;

use crate::support::http::split;
use crate::support::node::Node;
use crate::{await_rollout, kubectl};

/// The team's namespace, in which Pod Security is enforced.
pub const TEAM: &str = "team-a";

/// The ServiceAccount, the Service and the Deployment that `examples/shop.yaml` expects. Its pods
/// have a shell and curl, and a token for the app API.
const SHOP: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: shop}
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {selector: {app: shop}, ports: [{name: http, port: 8090, targetPort: web}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      serviceAccountName: shop
      enableServiceLinks: false
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: shop
        image: webhook-operator-tools:e2e
        args: [listen, --host, 0.0.0.0, --port, '8080']
        ports: [{name: web, containerPort: 8080}]
        readinessProbe: {tcpSocket: {port: web}, periodSeconds: 1}
        # As every listener should: it goes on until the endpoints have changed everywhere.
        lifecycle: {preStop: {sleep: {seconds: 3}}}
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
        volumeMounts: [{name: token, mountPath: /var/run/webhook-operator}]
      volumes:
      - name: token
        projected:
          sources: [{serviceAccountToken: {audience: webhook-operator, path: token}}]
";

/// Makes a namespace in which Pod Security `restricted` is enforced.
pub fn make_namespace(node: &Node, name: &str) {
    kubectl(node, &["create", "namespace", name]);
    let label = "pod-security.kubernetes.io/enforce=restricted";
    kubectl(node, &["label", "namespace", name, label]);
}

/// Starts the listener and waits for it.
pub fn start_shop(node: &Node) {
    let applied = node.kubectl_stdin(&["-n", TEAM, "apply", "-f", "-"], SHOP);
    assert!(applied.ok, "{}", applied.stderr);
    await_rollout(node, TEAM, "shop");
}

/// Waits until a webhook is Ready; returns its URL.
pub fn await_webhook(node: &Node, name: &str) -> String {
    let webhook = format!("webhook/{name}");
    kubectl(node, &["-n", TEAM, "wait", "--for=condition=Ready", &webhook, "--timeout=90s"]);
    kubectl(node, &["-n", TEAM, "get", &webhook, "-o=jsonpath={.status.url}"])
}

/// An app whose listener runs outside of the cluster, behind a Service without a selector; and a
/// webhook of the same name, which is queued.
pub fn make_app_outside(node: &Node, name: &str, listener: SocketAddr) {
    lead_to(node, name, Some(listener));
    let metadata = json!({"name": name, "namespace": TEAM});
    // What an attempt could not do is soon tried again.
    let delivery = json!({"retry": {"schedule": ["1s"], "maxAttempts": 100}});
    let items = json!([
        {
            "apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": {"ports": [{"name": "http", "port": 80}]},
        },
        {
            "apiVersion": "lenra.io/v1alpha1", "kind": "WebhookApp", "metadata": metadata,
            "spec": {"listener": {"service": {"name": name, "port": "http"}}, "delivery": delivery},
        },
        {
            "apiVersion": "lenra.io/v1alpha1", "kind": "Webhook", "metadata": metadata,
            "spec": {"app": name, "action": "record"},
        },
    ]);
    node.apply(&json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string());
}

/// Where the Service of an app outside leads from now on; nowhere, when its listener is away.
pub fn lead_to(node: &Node, name: &str, listener: Option<SocketAddr>) {
    let endpoints = listener.map(|address| json!({"addresses": [address.ip()]}));
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": name, "namespace": TEAM, "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": listener.map_or(1, |address| address.port())}],
        "endpoints": endpoints.into_iter().collect::<Vec<_>>(),
    });
    node.apply(&slice.to_string());
}

/// A trigger URL at another host.
pub fn at(url: &str, address: impl std::fmt::Display) -> String {
    format!("http://{address}{}", split(url).1)
}
