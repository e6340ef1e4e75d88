//! Releases on a real API server: CRDs that upgrade and stay, and the rights of several releases.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::helm::{NAME, chart, helm, project};
use crate::support::cluster::Cluster;

const CRDS: [&str; 2] = ["crd/webhookapps.lenra.io", "crd/webhooks.lenra.io"];

/// Helm on this cluster, which must succeed.
fn helm_on(cluster: &Cluster, args: &[&str]) -> String {
    helm(args, Some(cluster.kubeconfig())).unwrap_or_else(|said| panic!("helm {args:?}: {said}"))
}

/// The arguments that make or change a release.
fn upgrade<'a>(release: &'a str, chart: &'a Path, namespace: &'a str) -> Vec<&'a str> {
    let chart = chart.to_str().expect("UTF-8");
    vec!["upgrade", "--install", release, chart, "--namespace", namespace, "--create-namespace"]
}

fn kubectl(cluster: &Cluster, args: &[&str]) -> String {
    let output = cluster.kubectl(args);
    assert!(output.ok, "kubectl {args:?}: {}", output.stderr);
    output.stdout
}

/// A chart of which one CRD has another description.
fn with_changed_crd() -> TempDir {
    let copy = TempDir::with_prefix("webhook-operator-chart-").expect("a temporary directory");
    let copied = Command::new("cp").arg("-r").arg(chart().join(".")).arg(copy.path()).status();
    assert!(copied.expect("cp").success());
    let path = copy.path().join("files/crds/lenra.io_webhooks.yaml");
    let crd = fs::read_to_string(&path).expect("a CRD");
    assert!(crd.contains("    - wh\n"));
    fs::write(&path, crd.replace("    - wh\n", "    - wh\n    - hook\n")).expect("write the CRD");
    copy
}

fn short_names(cluster: &Cluster) -> String {
    kubectl(cluster, &["get", CRDS[1], "-o", "jsonpath={.spec.names.shortNames}"])
}

#[test]
fn crds_change_with_an_upgrade_and_outlive_the_release_with_what_they_hold() {
    let cluster = Cluster::start();
    helm_on(&cluster, &upgrade(NAME, &chart(), NAME));
    kubectl(&cluster, &[&["wait", "--for=condition=Established"], &CRDS[..]].concat());
    let example = project("examples/shop.yaml");
    kubectl(&cluster, &["create", "namespace", "team-a"]);
    kubectl(&cluster, &["apply", "-f", example.to_str().expect("UTF-8")]);

    assert_eq!(short_names(&cluster), r#"["wh"]"#);
    helm_on(&cluster, &upgrade(NAME, with_changed_crd().path(), NAME));
    assert_eq!(short_names(&cluster), r#"["wh","hook"]"#);

    let said = helm_on(&cluster, &["uninstall", NAME, "--namespace", NAME]);
    assert!(said.contains("[CustomResourceDefinition] webhooks.lenra.io"), "{said}");
    kubectl(&cluster, &["get", "webhook/payments", "webhookapp/shop", "-n", "team-a"]);
    assert!(!cluster.kubectl(&["get", "statefulset", NAME, "-n", NAME]).ok);
    // The same release finds them its own.
    helm_on(&cluster, &upgrade(NAME, &chart(), NAME));
    assert_eq!(short_names(&cluster), r#"["wh"]"#);
}

#[test]
fn crds_that_were_applied_by_hand_are_taken_over_only_when_asked_for() {
    let cluster = Cluster::start();
    let folder = project("crds");
    kubectl(&cluster, &["apply", "--server-side", "-f", folder.to_str().expect("UTF-8")]);
    let chart = chart();
    let install = upgrade(NAME, &chart, NAME);
    let said = helm(&install, Some(cluster.kubeconfig())).expect_err("an owner");
    assert!(said.contains("invalid ownership metadata"), "{said}");
    helm_on(&cluster, &[&install[..], &["--take-ownership"]].concat());
}

/// Whether the operator's account of a release in this namespace may do something.
fn may(cluster: &Cluster, release: &str, verb: &str, resource: &str, namespace: &str) -> bool {
    let account = format!("--as=system:serviceaccount:{release}:{NAME}");
    let args = ["auth", "can-i", verb, resource, "-n", namespace, &account, "--quiet"];
    cluster.kubectl(&args).ok
}

#[test]
fn releases_of_one_name_serve_their_own_namespaces_beside_each_other() {
    let cluster = Cluster::start();
    for namespace in ["team-a", "team-b"] {
        kubectl(&cluster, &["create", "namespace", namespace]);
    }
    for (release, namespace, crds) in [("one", "team-a", "true"), ("two", "team-b", "false")] {
        let watched = format!("watchNamespaces={{{namespace}}}");
        let crds = format!("crds.install={crds}");
        let values = ["--set", &watched, "--set", &crds];
        helm_on(&cluster, &[&upgrade(NAME, &chart(), release)[..], &values].concat());
    }
    for (release, own, other) in [("one", "team-a", "team-b"), ("two", "team-b", "team-a")] {
        let may = |verb, resource, namespace| may(&cluster, release, verb, resource, namespace);
        for resource in ["webhooks.lenra.io", "webhookapps.lenra.io", "services", "secrets"] {
            assert!(may("list", resource, own), "{release} serves {own}");
            assert!(!may("list", resource, other), "{release} does not serve {other}");
        }
        assert!(may("create", "webhooks.lenra.io", own));
        assert!(!may("create", "webhooks.lenra.io", other));
        assert!(may("create", "tokenreviews.authentication.k8s.io", own));
        assert!(may("get", "secrets/webhook-operator-identity", release));
        assert!(!may("get", "secrets/another", release));
        assert!(!may("get", "secrets/webhook-operator-identity", own));
        assert!(!may("list", "secrets", release));
    }
}

#[test]
fn an_installation_that_may_read_all_secrets_says_so_and_how_that_is_narrowed() {
    let cluster = Cluster::start();
    kubectl(&cluster, &["create", "namespace", "team-a"]);
    let chart = chart();
    let install = upgrade(NAME, &chart, NAME);
    let said = helm_on(&cluster, &install);
    assert!(said.contains("MAY READ EVERY SECRET OF THE CLUSTER"), "{said}");
    assert!(may(&cluster, NAME, "list", "secrets", "kube-system"));

    // What the notes say to run, from the folder of the chart.
    let command = said.lines().map(str::trim).find(|line| line.contains("rbac.secrets.named"));
    let flags: Vec<_> = command.expect("a command").split(' ').collect();
    let flags: Vec<_> = flags.iter().map(|flag| flag.trim_matches('\'')).collect();
    let narrow = [&install[..], &["--reset-then-reuse-values"], &flags].concat();
    let said = helm_on(&cluster, &narrow);
    assert!(!said.contains("EVERY SECRET"), "{said}");
    assert!(!may(&cluster, NAME, "list", "secrets", "kube-system"));
    assert!(!may(&cluster, NAME, "list", "secrets", "team-a"));
    assert!(!may(&cluster, NAME, "list", "secrets/other", "team-a"));
    assert!(may(&cluster, NAME, "watch", "secrets/github", "team-a"));
}
