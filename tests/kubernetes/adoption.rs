//! The chart's admission policy: whoever may write apps and webhooks may not adopt a UUID with them.

use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use webhook_operator::source::WebhookStore;

use crate::fixture::{Operator, Site, app, eventually, new_namespace, webhook, with};
use crate::support::admin::KubectlOutput;
use crate::support::rbac;

const UUID: &str = "14361375-54d4-4ddb-8d2d-0dd212e13cd1";
const OTHER_UUID: &str = "24361375-54d4-4ddb-8d2d-0dd212e13cd1";

/// May write apps and webhooks, as the cluster's role `edit`.
const TENANT: &str = "tenant@example.com";
/// May adopt besides.
const ADOPTING: &str = "adopting@example.com";

/// A namespace with the policy in force, and its people. Those who are not named there, such as the
/// administrator of the other tests, are not hindered by it.
async fn site() -> Site {
    /// What is applied is of the whole cluster, and its tests run at the same time.
    static APPLYING: Mutex<()> = Mutex::new(());
    let site = Site::new();
    {
        let _applying = APPLYING.lock().unwrap_or_else(PoisonError::into_inner);
        site.cluster.apply(&rbac::for_people());
    }
    for (user, roles) in [(TENANT, &["view", "edit"][..]), (ADOPTING, &["view", "edit", "adopt"])] {
        for role in roles {
            let name = format!("{role}-{user}");
            let role = format!("--clusterrole=webhook-operator-{role}:webhook-operator");
            site.kubectl(&["create", "rolebinding", &name, &role, &format!("--user={user}")]);
        }
    }
    // The API server takes a policy up a little later, and the rights of people too.
    let adopting = with(app("probe"), "/spec/uuid", json!(UUID));
    let may_write = || try_apply(&site, TENANT, &app("probe"), &["--dry-run=server"]).ok;
    eventually("the right to write", may_write).await;
    let may_adopt = || try_apply(&site, TENANT, &adopting, &["--dry-run=server"]).ok;
    eventually("the policy", || !may_adopt()).await;
    site
}

fn try_apply(site: &Site, user: &str, manifest: &Value, flags: &[&str]) -> KubectlOutput {
    let namespace = ["-n", &site.namespace, "--as", user];
    let args = [&["apply", "-f", "-"], &namespace[..], flags].concat();
    site.cluster.kubectl_stdin(&args, &manifest.to_string())
}

fn applied(site: &Site, user: &str, manifest: &Value) {
    let output = try_apply(site, user, manifest, &[]);
    assert!(output.ok, "{user}: {}", output.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_with_the_verb_adopt_set_a_uuid_and_everybody_changes_the_rest() {
    let site = &site().await;
    let kinds = [("webhookapps", app("taken")), ("webhooks", webhook("taken", "shop"))];
    for (resource, manifest) in kinds {
        let adopting = with(manifest.clone(), "/spec/uuid", json!(UUID));
        let refused = try_apply(site, TENANT, &adopting, &[]);
        assert!(!refused.ok, "{}", refused.stdout);
        let right =
            format!("the right to adopt {resource}.lenra.io in namespace {}", site.namespace);
        assert!(refused.stderr.contains(&right), "{}", refused.stderr);
        let role = "ClusterRole webhook-operator-adopt:webhook-operator";
        assert!(refused.stderr.contains(role), "{}", refused.stderr);
        assert!(!refused.stderr.contains(UUID), "{}", refused.stderr);

        applied(site, ADOPTING, &adopting);
        // The tenant changes other fields of what has a UUID, be it by a label or in the spec.
        let labelled = with(adopting.clone(), "/metadata/labels", json!({"team": "a"}));
        applied(site, TENANT, &labelled);
        let field = if resource == "webhooks" { "/spec/suspend" } else { "/spec/environmentId" };
        let value = if resource == "webhooks" { json!(true) } else { json!(7) };
        applied(site, TENANT, &with(labelled, field, value));
        let other = with(adopting, "/spec/uuid", json!(OTHER_UUID));
        assert!(!try_apply(site, TENANT, &other, &[]).ok, "another UUID");

        let mut own = manifest;
        own["metadata"]["name"] = json!("own");
        applied(site, TENANT, &own);
        let added = with(own, "/spec/uuid", json!(UUID));
        assert!(!try_apply(site, TENANT, &added, &[]).ok, "a UUID that is added");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_to_adopt_holds_in_its_namespace_alone() {
    let site = &site().await;
    let elsewhere = new_namespace(&site.cluster);
    let role = "--clusterrole=webhook-operator-edit:webhook-operator";
    let user = format!("--user={ADOPTING}");
    let args = ["-n", &elsewhere, "create", "rolebinding", "edit", role, &user];
    assert!(site.cluster.kubectl(&args).ok);
    let adopting = with(app("taken"), "/spec/uuid", json!(UUID)).to_string();
    let create = |namespace: &str| {
        let args = ["create", "-f", "-", "-n", namespace, "--as", ADOPTING];
        site.cluster.kubectl_stdin(&args, &adopting)
    };
    let refused = create(&elsewhere);
    assert!(refused.stderr.contains("the right to adopt webhookapps"), "{}", refused.stderr);
    assert!(create(&site.namespace).ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_and_its_app_api_need_no_right_to_adopt() {
    let site = &site().await;
    site.apply(&app("shop"));
    let operator = Operator::start(site.options()).await;
    let made = with(webhook("made", "shop"), "/metadata/namespace", json!(site.namespace));
    let made = serde_json::from_value(made).expect("a Webhook");
    operator.kubernetes.webhooks(&operator.runner).create(made).await.expect("a webhook");
    site.wait("webhook/made", "Ready");
}
