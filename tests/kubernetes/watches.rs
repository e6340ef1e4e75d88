//! What is in the cluster is in the route table.

use serde_json::json;
use webhook_operator::plan::Key;
use webhook_operator::routes::{Id, State};
use webhook_operator::source::Brain;

use crate::fixture::{Operator, Site, app, eventually, webhook, with};

/// What a trigger of the webhook would find.
pub fn state(brain: &Brain, app: &Key, webhook: &Key) -> Option<State> {
    let view = brain.planner().webhook(webhook)?;
    let url = brain.planner().webhook_url(webhook)?;
    assert_eq!(&*app.namespace, &*webhook.namespace);
    let mut parts = url.rsplit('/');
    let (uuid, app) = (parts.next()?, parts.nth(1)?);
    assert_eq!(uuid, view.uuid.to_string());
    let id = Id { app: app.parse().expect("a UUID"), webhook: view.uuid };
    Some(brain.routes().get(id)?.state)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_served_from_its_creation_to_its_deletion() {
    let site = Site::new();
    site.apply(&app("shop"));
    let Operator { brain, .. } = &site.operator().await;
    let (shop, payments) = (site.key("shop"), site.key("payments"));
    site.apply(&webhook("payments", "shop"));
    eventually("the route", || state(brain, &shop, &payments) == Some(State::Serving)).await;
    site.apply(&with(webhook("payments", "shop"), "/spec/suspend", json!(true)));
    eventually("the suspension", || state(brain, &shop, &payments) == Some(State::Suspended)).await;
    site.kubectl(&["delete", "webhook/payments"]);
    eventually("the end", || brain.routes().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_being_deleted_is_gone_whoever_holds_it_up() {
    let site = Site::new();
    site.apply(&app("shop"));
    let held = with(webhook("held", "shop"), "/metadata/finalizers", json!(["example.com/hold"]));
    site.apply(&held);
    let Operator { brain, .. } = &site.operator().await;
    let (shop, key) = (site.key("shop"), site.key("held"));
    assert_eq!(state(brain, &shop, &key), Some(State::Serving));
    site.kubectl(&["delete", "webhook/held", "--wait=false"]);
    eventually("the end", || brain.planner().webhook(&key).is_none()).await;
    assert!(brain.routes().is_empty());
    // Nor does a replica that starts now see it.
    let later = site.operator().await;
    assert!(later.brain.planner().webhook(&key).is_none());
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
        .map(|site| state(&operator.brain, &site.key("shop"), &site.key("payments")).is_some());
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
        assert!(operator.brain.planner().app(&site.key("shop")).is_some());
    }
}
