//! Secrets that webhooks name, as the API server tells of them.

use serde_json::{Value, json};
use webhook_operator::plan::Key;
use webhook_operator::routes::RouteState;
use webhook_operator::source::PlanRunner;

use crate::fixture::{Operator, Site, app, eventually, webhook, with};
use crate::support::rbac;
use crate::watches::state;

fn secret(name: &str, value: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
        "stringData": {"secret": value},
    })
}

/// A webhook that takes what one of two secrets signed.
fn signed(name: &str) -> Value {
    let refs = json!([{"name": "gh", "key": "secret"}, {"name": "gh-old", "key": "secret"}]);
    let verify = json!([{"type": "GitHub", "secretRefs": refs}]);
    with(webhook(name, "shop"), "/spec/verify", verify)
}

/// What a named Secret is known to hold.
fn known(runner: &PlanRunner, secret: &Key) -> Option<String> {
    use webhook_operator::plan::secrets::KnownSecret;
    match runner.planner().secrets().known(secret) {
        KnownSecret::There(input) => {
            Some(String::from_utf8_lossy(input.entry("secret").unwrap()).into_owned())
        }
        KnownSecret::NotYet | KnownSecret::Missing => None,
    }
}

/// Narrows the operator's right to Secrets to those of a name.
fn leave_the_right_to(site: &Site, names: &[&str]) {
    let mut rights: Value = serde_json::from_str(&rbac::cluster_wide(&site.namespace)).unwrap();
    let role =
        rights["items"].as_array_mut().unwrap().iter_mut().find(|it| it["kind"] == "ClusterRole");
    let rules = role.unwrap()["rules"].as_array_mut().unwrap();
    let rule = rules.iter_mut().find(|rule| rule["resources"][0] == "secrets").unwrap();
    rule["resourceNames"] = json!(names);
    site.cluster.apply(&rights.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_waits_for_its_secrets_and_follows_their_changes() {
    let site = Site::new();
    site.apply(&app("shop"));
    site.apply(&secret("gh", "one"));
    site.apply(&secret("nobody-names-it", "never kept"));
    site.apply(&signed("payments"));
    let Operator { runner, .. } = &site.operator().await;
    let (shop, payments) = (site.key("shop"), site.key("payments"));
    assert_eq!(
        state(runner, &shop, &payments),
        Some(RouteState::NotReady),
        "known when it is synced"
    );
    let message = site.wait_for_reason("webhook/payments", "SecretNotFound").await;
    assert!(message.starts_with("Secret gh-old (spec.verify[0].secretRefs[1])"), "{message}");
    site.wait("webhook/payments", "Stalled");

    site.apply(&secret("gh-old", "two"));
    site.wait("webhook/payments", "Ready");
    eventually("the route", || state(runner, &shop, &payments) == Some(RouteState::Serving)).await;
    site.apply(&secret("gh", "three"));
    let (gh, other) = (site.key("gh"), site.key("nobody-names-it"));
    eventually("the new value", || known(runner, &gh).as_deref() == Some("three")).await;
    assert_eq!(known(runner, &other), None);

    site.kubectl(&["delete", "secret/gh"]);
    eventually("the end", || state(runner, &shop, &payments) == Some(RouteState::NotReady)).await;
    site.apply(&with(webhook("payments", "shop"), "/spec/verify", json!([])));
    eventually("the route", || state(runner, &shop, &payments) == Some(RouteState::Serving)).await;
    assert_eq!(known(runner, &site.key("gh-old")), None, "forgotten when nobody names it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_must_not_be_read_holds_up_nobody_else() {
    let site = Site::new();
    site.apply(&app("shop"));
    site.apply(&signed("payments"));
    site.apply(&webhook("plain", "shop"));
    leave_the_right_to(&site, &["another"]);
    let Operator { runner, .. } = &site.operator().await;
    assert_eq!(state(runner, &site.key("shop"), &site.key("plain")), Some(RouteState::Serving));
    let message = site.wait_for_reason("webhook/payments", "SecretNotFound").await;
    assert!(message.contains("the operator may not read it"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_to_the_secrets_that_are_named_is_enough() {
    let site = Site::new();
    site.apply(&app("shop"));
    for name in ["gh", "gh-old"] {
        site.apply(&secret(name, "s3cret"));
    }
    site.apply(&signed("payments"));
    leave_the_right_to(&site, &["gh", "gh-old"]);
    let Operator { runner, .. } = &site.operator().await;
    let (shop, payments) = (site.key("shop"), site.key("payments"));
    assert_eq!(state(runner, &shop, &payments), Some(RouteState::Serving));
    site.apply(&secret("gh", "changed"));
    eventually("the new value", || known(runner, &site.key("gh")).as_deref() == Some("changed"))
        .await;
}
