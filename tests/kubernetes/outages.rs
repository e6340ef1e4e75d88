//! What goes wrong in a cluster and must not stop the rest. Each test has an API server of its own.

use serde_json::{Value, json};
use tokio::time::Instant;
use webhook_operator::resources::crds;
use webhook_operator::routes::RouteState;

use crate::cluster::Cluster;
use crate::fixture::{Site, app, eventually, fresh_cluster, install, install_crds, webhook, with};
use crate::watches::state;

#[tokio::test(flavor = "multi_thread")]
async fn while_the_api_server_is_away_everything_is_served_and_afterwards_changes_arrive() {
    let mut site = Site::of(Box::new(fresh_cluster()));
    site.apply(&app("shop"));
    site.apply(&webhook("before", "shop"));
    let operator = site.operator().await;
    operator.leads().await;
    site.wait("webhook/before", "Ready");
    let runner = operator.runner.clone();
    let (shop, before, meanwhile) = (site.key("shop"), site.key("before"), site.key("meanwhile"));

    site.cluster.stop();
    // Long enough for the lease to be given up, which is after 10 seconds.
    eventually("the lease to be given up", || !operator.is_leading()).await;
    assert_eq!(state(&runner, &shop, &before), Some(RouteState::Serving));
    let webhooks = || {
        let watches = runner.signals().watches(Instant::now());
        watches.into_iter().find(|watch| watch.kind == "Webhook").expect("it is watched")
    };
    assert!(webhooks().lag.as_secs() >= 5, "{:?}", webhooks());

    site.cluster.restart();
    site.apply(&webhook("meanwhile", "shop"));
    site.kubectl(&["delete", "webhook/before"]);
    eventually("the new webhook", || state(&runner, &shop, &meanwhile).is_some()).await;
    eventually("the end of the old one", || runner.routes().len() == 1).await;
    let watch = webhooks();
    assert_eq!((watch.lag.as_secs(), watch.restarts), (0, 1));
    let statuses = runner.signals().statuses();
    assert!(statuses.iter().any(|(kind, of)| *kind == "Webhook" && of.written > 0), "{statuses:?}");
    site.wait("webhook/meanwhile", "Ready");
    operator.stop().await;
}

/// The definitions of a version that took any spec.
fn lax_crds() -> String {
    let lax = crds::all().map(|crd| {
        let mut crd = serde_json::to_value(crd).expect("JSON");
        let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = any;
        crd
    });
    json!({"apiVersion": "v1", "kind": "List", "items": lax}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_object_is_told_so_and_does_not_stop_the_others() {
    let cluster = Cluster::start();
    install(&cluster, &lax_crds());
    let site = Site::of(Box::new(cluster));
    let malformed = [
        with(app("a-malformed"), "/spec/environmentId", json!("one")),
        with(webhook("a-malformed", "shop"), "/spec/action", json!({"not": "a text"})),
        // The API server takes no status of this one: the rule of its listener fails first.
        with(app("a-hopeless"), "/spec/listener", json!(1)),
    ];
    malformed.iter().for_each(|object| site.apply(object));
    install_crds(&site.cluster);

    let operator = site.operator().await;
    site.apply(&app("shop"));
    site.apply(&webhook("payments", "shop"));
    site.wait("webhook/payments", "Ready");
    let objects = ["webhookapp/a-malformed", "webhook/a-malformed"];
    for object in objects {
        let said = site.wait_for_reason(object, "Invalid").await;
        assert!(said.starts_with("spec cannot be read: invalid type"), "{said}");
        site.wait(object, "Stalled");
    }
    assert_eq!(
        state(&operator.runner, &site.key("shop"), &site.key("payments")),
        Some(RouteState::Serving)
    );
    let hopeless = operator.runner.planner().app(&site.key("a-hopeless")).cloned();
    assert!(hopeless.expect("an app").spec.is_err());
    stay_as_they_are(&site, &objects).await;

    site.apply(&app("a-malformed"));
    site.apply(&webhook("a-malformed", "shop"));
    objects.iter().for_each(|object| site.wait(object, "Ready"));
}

/// A status that is written because of its own event would be written without end.
async fn stay_as_they_are(site: &Site<Box<Cluster>>, objects: &[&str]) {
    let versions = || -> Vec<Value> {
        objects.iter().map(|o| site.get(o)["metadata"]["resourceVersion"].clone()).collect()
    };
    let before = versions();
    site.apply(&app("later"));
    site.wait("webhookapp/later", "Ready");
    assert_eq!(versions(), before);
}
