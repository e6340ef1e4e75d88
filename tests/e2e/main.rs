//! The whole on a real node: the images, the chart and what it installs, rollouts under load, queues on
//! their volumes, and what the node leaves behind.

mod chart;
mod deliveries;
mod helm;
mod image;
mod ingress;
mod load;
mod machine;
mod network;
mod node;
mod processes;
mod queue;
mod recorder;
mod rollout;
#[path = "../support/mod.rs"]
mod support;
mod team;
mod volumes;

use std::net::TcpStream;
use std::path::PathBuf;

use helm::RELEASE;
use support::admin::Admin;
use support::operator::eventually;
use support::process::target;

/// Where `make e2e` puts the archives.
fn images() -> PathBuf {
    let folder = target().join("e2e/images");
    assert!(folder.is_dir(), "no images in {}: run `make e2e`", folder.display());
    folder
}

/// Waits until a Deployment has all its replicas.
fn await_rollout(admin: &Admin, namespace: &str, deployment: &str) {
    let args = ["-n", namespace, "rollout", "status", "--timeout=60s"];
    let output = admin.kubectl(&[&args[..], &[&format!("deployment/{deployment}")]].concat());
    if !output.ok {
        let pods = admin.kubectl(&["-n", namespace, "describe", "pods"]);
        panic!("{}{}\n{}", output.stdout, output.stderr, pods.stdout);
    }
}

/// Waits until the operator has all its replicas.
fn await_operator(admin: &Admin) {
    let set = format!("statefulset/{RELEASE}");
    kubectl(admin, &["-n", RELEASE, "rollout", "status", &set, "--timeout=120s"]);
}

/// The addresses of the operator's pods, in the order of their names.
fn operator_ips(admin: &Admin) -> Vec<String> {
    let selector = format!("--selector=app.kubernetes.io/name={RELEASE}");
    let path = "-o=jsonpath={.items[*].status.podIP}";
    let ips = kubectl(
        admin,
        &["-n", RELEASE, "get", "pods", &selector, "--sort-by=.metadata.name", path],
    );
    ips.split(' ').map(str::to_owned).collect()
}

/// Where a Service is reached, `IP:PORT`, once it leads to a pod: that follows the pod's readiness a
/// little later.
fn await_service(admin: &Admin, namespace: &str, service: &str) -> String {
    let path = "-o=jsonpath={.spec.clusterIP}:{.spec.ports[0].port}";
    let address = kubectl(admin, &["-n", namespace, "get", "service", service, path]);
    eventually(&format!("the Service {service}"), || TcpStream::connect(&address).ok());
    address
}

/// Runs kubectl, which must succeed; returns what it says.
fn kubectl(admin: &Admin, args: &[&str]) -> String {
    let output = admin.kubectl(args);
    assert!(output.ok, "kubectl {args:?}: {}", output.stderr);
    output.stdout
}

/// An object, as kubectl reads it: `"webhook/name"`.
fn object(admin: &Admin, namespace: &str, object: &str) -> serde_json::Value {
    let read = kubectl(admin, &["-n", namespace, "get", object, "-o", "json"]);
    serde_json::from_str(&read).expect("JSON of kubectl")
}
