//! What is in the cluster is in the route table.

use serde_json::json;
use webhook_operator::plan::Key;
use webhook_operator::routes::{Id, RouteState};
use webhook_operator::source::PlanRunner;

use crate::fixture::{Operator, Site, app, eventually, webhook, with};

/// What a trigger of the webhook would find.
pub fn state(runner: &PlanRunner, app: &Key, webhook: &Key) -> Option<RouteState> {
    let view = runner.planner().webhook(webhook)?;
    let url = runner.planner().webhook_url(webhook)?;
    assert_eq!(&*app.namespace, &*webhook.namespace);
    let mut parts = url.rsplit('/');
    let (uuid, app) = (parts.next()?, parts.nth(1)?);
    assert_eq!(uuid, view.uuid.to_string());
    let id = Id { app: app.parse().expect("a UUID"), webhook: view.uuid };
    Some(runner.routes().get(id)?.state)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_served_from_its_creation_to_its_deletion() {
    let site = Site::new();
    site.apply(&app("shop"));
    let Operator { runner, .. } = &site.operator().await;
    let (shop, payments) = (site.key("shop"), site.key("payments"));
    site.apply(&webhook("payments", "shop"));
    eventually("the route", || state(runner, &shop, &payments) == Some(RouteState::Serving)).await;
    site.apply(&with(webhook("payments", "shop"), "/spec/suspend", json!(true)));
    eventually("the suspension", || state(runner, &shop, &payments) == Some(RouteState::Suspended))
        .await;
    site.kubectl(&["delete", "webhook/payments"]);
    eventually("the end", || runner.routes().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_being_deleted_is_gone_whoever_holds_it_up() {
    let site = Site::new();
    site.apply(&app("shop"));
    let held = with(webhook("held", "shop"), "/metadata/finalizers", json!(["example.com/hold"]));
    site.apply(&held);
    let Operator { runner, .. } = &site.operator().await;
    let (shop, key) = (site.key("shop"), site.key("held"));
    assert_eq!(state(runner, &shop, &key), Some(RouteState::Serving));
    site.kubectl(&["delete", "webhook/held", "--wait=false"]);
    eventually("the end", || runner.planner().webhook(&key).is_none()).await;
    assert!(runner.routes().is_empty());
    // Nor does a replica that starts now see it.
    let later = site.operator().await;
    assert!(later.runner.planner().webhook(&key).is_none());
    site.kubectl(&[
        "patch",
        "webhook/held",
        "--type=merge",
        "-p",
        r#"{"metadata":{"finalizers":[]}}"#,
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watched_namespaces_are_served_and_no_others() {
    let sites = [Site::new(), Site::new(), Site::new()];
    for site in &sites {
        site.apply(&app("shop"));
        site.apply(&webhook("payments", "shop"));
    }
    let [first, second, _] = &sites;
    let mut options = first.options();
    let namespaces = [first, second, first].map(|site| site.namespace.clone());
    options.watch_namespaces = namespaces.into();
    let operator = Operator::start(options).await;
    let served = sites
        .each_ref()
        .map(|site| state(&operator.runner, &site.key("shop"), &site.key("payments")).is_some());
    assert_eq!(served, [true, true, false]);
    second.wait("webhook/payments", "Ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_named_namespaces_all_are_served() {
    let sites = [Site::new(), Site::new()];
    for site in &sites {
        site.apply(&app("shop"));
    }
    let mut options = sites[0].options();
    options.watch_namespaces = Vec::new();
    let operator = Operator::start(options).await;
    for site in &sites {
        assert!(operator.runner.planner().app(&site.key("shop")).is_some());
    }
}
