//! The image that is delivered, in a namespace that enforces the Pod Security Standard `restricted`.

use crate::support::http::post;
use crate::support::node::Node;
use crate::support::operator::{APP, WEBHOOK, manifest};
use crate::{await_rollout, await_service, images, kubectl};

/// A namespace where nothing but restricted pods runs, and a listener in another one.
const SURROUNDINGS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: hooks, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: listener}
spec:
  selector: {matchLabels: {app: listener}}
  template:
    metadata: {labels: {app: listener}}
    spec:
      containers:
      - name: listener
        image: webhook-operator:e2e
        args: [listen, --host, 0.0.0.0, --port, '8080']
---
apiVersion: v1
kind: Service
metadata: {name: listener}
spec: {selector: {app: listener}, ports: [{port: 80, targetPort: 8080}]}
";

const OPERATOR: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: operator, namespace: hooks}
spec:
  selector: {matchLabels: {app: operator}}
  template:
    metadata: {labels: {app: operator}}
    spec:
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: operator
        image: webhook-operator:e2e
        args: [standalone, --manifests=/manifests, --data-dir=/data, '--trigger-addr=0.0.0.0:8080',
               '--admin-addr=0.0.0.0:9090']
        securityContext:
          allowPrivilegeEscalation: false
          capabilities: {drop: [ALL]}
          readOnlyRootFilesystem: true
        readinessProbe: {httpGet: {path: /readyz, port: 9090}, periodSeconds: 1}
        volumeMounts: [{name: manifests, mountPath: /manifests}, {name: data, mountPath: /data}]
      volumes:
      - {name: manifests, configMap: {name: manifests}}
      - {name: data, emptyDir: {}}
---
apiVersion: v1
kind: Service
metadata: {name: operator, namespace: hooks}
spec: {selector: {app: operator}, ports: [{port: 80, targetPort: 8080}]}
";

#[test]
fn a_restricted_pod_of_the_image_calls_a_listener_by_the_name_of_its_service() {
    let node = Node::start(&images());
    node.apply(SURROUNDINGS);
    let webhook = manifest("http://listener.default.svc.cluster.local/", "", "");
    let file = format!("--from-literal=webhooks.yaml={webhook}");
    kubectl(&node, &["-n", "hooks", "create", "configmap", "manifests", &file]);
    node.apply(OPERATOR);
    await_rollout(&node, "hooks", "operator");
    await_rollout(&node, "default", "listener");

    await_service(&node, "default", "listener");
    let operator = await_service(&node, "hooks", "operator");

    let url = format!("http://{operator}/apps/{APP}/webhooks/{WEBHOOK}");
    let response = post(&url, r#"{"paid": true}"#);
    assert_eq!((response.status, response.body.as_str()), (200, "\"ok\""), "{response:?}");
    let log = kubectl(&node, &["logs", "deployment/listener"]);
    assert!(log.contains("\"paid\": true"), "{log}");

    let version = ["-n", "hooks", "exec", "deployment/operator", "--", "webhook-operator", "-V"];
    assert!(kubectl(&node, &version).starts_with("webhook-operator "));
}

#[test]
fn a_namespace_that_is_restricted_refuses_a_pod_that_is_not() {
    let node = Node::start(&images());
    node.apply(SURROUNDINGS);
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: loose, namespace: hooks},
                spec: {containers: [{name: loose, image: 'webhook-operator:e2e'}]}}";
    let refusal = node.apply_refused(pod);
    assert!(refusal.contains("violates PodSecurity \"restricted"), "{refusal}");
}
