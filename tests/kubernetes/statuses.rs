//! Statuses: what they say, when they are written, and when not.

use serde_json::json;
use uuid::Uuid;
use webhook_operator::moment::Moment;
use webhook_operator::plan::Reachability;

use crate::fixture::{Site, app, app_of_service, eventually, service, webhook, with};

const UUID: &str = "14361375-54d4-4ddb-8d2d-0dd212e13cd1";

#[tokio::test(flavor = "multi_thread")]
async fn an_app_and_its_webhook_become_ready_with_a_uuid_and_a_url() {
    let site = Site::new();
    let _operator = site.operator().await;
    site.apply(&app("shop"));
    site.apply(&webhook("payments", "shop"));
    site.wait("webhookapp/shop", "Ready");
    site.wait("webhook/payments", "Ready");
    eventually("the count", || site.get("webhookapp/shop")["status"]["webhooks"] == 1).await;

    let app = site.get("webhookapp/shop");
    let app_uuid = app["status"]["uuid"].as_str().expect("a UUID");
    assert_eq!(Uuid::parse_str(app_uuid).unwrap().get_version_num(), 4);
    let prefix = format!("https://hooks.example.com/apps/{app_uuid}/webhooks");
    assert_eq!(app["status"]["url"], prefix);

    let webhook = site.get("webhook/payments");
    let uuid = webhook["status"]["uuid"].as_str().expect("a UUID");
    assert_eq!(webhook["status"]["url"], format!("{prefix}/{uuid}"));
    assert_eq!(webhook["status"]["observedGeneration"], webhook["metadata"]["generation"]);
    let conditions = webhook["status"]["conditions"].as_array().expect("conditions");
    let said =
        conditions.iter().map(|c| (c["type"].as_str().unwrap(), c["status"].as_str().unwrap()));
    let expected = [("Ready", "True"), ("Reconciling", "False"), ("Stalled", "False")];
    assert_eq!(said.collect::<Vec<_>>(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_says_the_same_is_not_written_again() {
    let site = Site::new();
    let _operator = site.operator().await;
    site.apply(&app("shop"));
    site.apply(&webhook("payments", "shop"));
    site.wait("webhook/payments", "Ready");
    eventually("the count", || site.get("webhookapp/shop")["status"]["webhooks"] == 1).await;

    let objects = ["webhookapp/shop", "webhook/payments"];
    let version = |object: &str| site.get(object)["metadata"]["resourceVersion"].clone();
    let touched = objects.map(|object| {
        site.kubectl(&["label", object, "touched=yes"]);
        version(object)
    });
    // Statuses are written in the order of the changes: when this one is there, those had their turn.
    site.apply(&app("later"));
    site.wait("webhookapp/later", "Ready");
    assert_eq!(objects.map(version), touched);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_somebody_else_changes_is_put_right() {
    let site = Site::new();
    let _operator = site.operator().await;
    site.apply(&app("shop"));
    site.wait("webhookapp/shop", "Ready");
    let url = site.get("webhookapp/shop")["status"]["url"].clone();
    let patch = r#"{"status":{"url":"https://attacker.example/"}}"#;
    let args = ["patch", "webhookapp/shop", "--subresource=status", "--type=merge", "-p", patch];
    site.kubectl(&args);
    eventually("the URL", || site.get("webhookapp/shop")["status"]["url"] == url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_derived_uuid_is_the_same_after_a_re_creation() {
    let site = Site::new();
    let _operator = site.operator().await;
    let uuid_of_a_new_one = || {
        site.apply(&app("shop"));
        site.wait("webhookapp/shop", "Ready");
        site.get("webhookapp/shop")["status"]["uuid"].clone()
    };
    let first = uuid_of_a_new_one();
    site.kubectl(&["delete", "webhookapp/shop"]);
    assert_eq!(uuid_of_a_new_one(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_uuid_of_the_spec_is_adopted_and_one_of_the_status_kept() {
    let site = Site::new();
    site.apply(&with(app("adopting"), "/spec/uuid", json!(UUID)));
    site.apply(&app("restored"));
    // As from a backup of a cluster with another identity key.
    let kept = "c14990db-96a1-44c6-b13a-8ab12db96f61";
    let patch = json!({"status": {"uuid": kept}}).to_string();
    let args =
        ["patch", "webhookapp/restored", "--subresource=status", "--type=merge", "-p", &patch];
    site.kubectl(&args);
    let _operator = site.operator().await;
    for (object, uuid) in [("webhookapp/adopting", UUID), ("webhookapp/restored", kept)] {
        site.wait(object, "Ready");
        assert_eq!(site.get(object)["status"]["uuid"], uuid, "{object}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_of_two_apps_keeps_a_uuid_and_the_younger_gets_it_when_the_older_goes() {
    let site = Site::new();
    let _operator = site.operator().await;
    site.apply(&with(app("a-older"), "/spec/uuid", json!(UUID)));
    site.wait("webhookapp/a-older", "Ready");
    site.apply(&with(app("b-younger"), "/spec/uuid", json!(UUID)));
    let message = site.wait_for_reason("webhookapp/b-younger", "UUIDConflict").await;
    assert_eq!(message, "WebhookApp a-older already has this UUID");
    site.wait("webhookapp/b-younger", "Stalled");
    site.kubectl(&["delete", "webhookapp/a-older"]);
    site.wait("webhookapp/b-younger", "Ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_port_stalls_an_app_until_the_service_has_it() {
    let site = Site::new();
    let _operator = site.operator().await;
    site.apply(&app_of_service("shop", "backend", json!("http")));
    site.apply(&webhook("payments", "shop"));
    let message = site.wait_for_reason("webhookapp/shop", "ServiceNotFound").await;
    assert_eq!(message, format!("Service backend does not exist in namespace {}", site.namespace));

    site.apply(&service("backend", 8080, "web"));
    let message = site.wait_for_reason("webhookapp/shop", "PortNotFound").await;
    assert_eq!(message, "Service backend has no TCP port \"http\"; it has: 8080 (web)");
    site.wait("webhookapp/shop", "Stalled");
    site.wait_for_reason("webhook/payments", "AppNotReady").await;

    site.apply(&service("backend", 8080, "http"));
    site.wait("webhookapp/shop", "Ready");
    site.wait("webhook/payments", "Ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_prints_what_one_looks_for() {
    let site = Site::new();
    let _operator = site.operator().await;
    site.apply(&app("shop"));
    site.apply(&webhook("payments", "shop"));
    site.wait("webhook/payments", "Ready");
    eventually("the count", || site.get("webhookapp/shop")["status"]["webhooks"] == 1).await;
    let lines = site.kubectl(&["get", "wh,whapp"]);
    let row = |first: &str| {
        let line = lines.lines().find(|line| line.starts_with(first)).expect("a line");
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    // The age changes.
    let values = |first| row(first)[1..].split_last().expect("columns").1.join(" ");
    assert_eq!(
        row("NAME"),
        ["NAME", "READY", "REASON", "ACTION", "APP", "LAST", "DELIVERY", "AGE"]
    );
    assert_eq!(values("webhook.lenra.io/payments"), "True Succeeded pay shop");
    assert_eq!(values("webhookapp.lenra.io/shop"), "True Succeeded 1");
    assert!(
        lines.contains("NAME                       READY   REASON      REACHABLE   WEBHOOKS   AGE"),
        "{lines}"
    );
    // A URL is as good as a key: it is shown to those who ask for it.
    assert!(!lines.contains("hooks.example.com"));
    assert!(site.kubectl(&["get", "wh", "-o", "wide"]).contains("https://hooks.example.com/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_does_not_answer_can_be_waited_for() {
    let site = Site::new();
    let operator = site.operator().await;
    site.apply(&app("shop"));
    site.wait("webhookapp/shop", "Ready");
    let uuid = operator.runner.planner().app_uuid(&site.key("shop")).expect("the app");
    let down = Reachability::Unreachable {
        since: Moment(1_795_536_000_000),
        why: "it answered 503".into(),
        failures: 10,
    };
    operator.runner.listener_reachability(uuid, down);
    site.wait("webhookapp/shop", "ListenerReachable=False");
    let said = site.get("webhookapp/shop")["status"]["conditions"][3].clone();
    assert_eq!(
        (&said["type"], &said["reason"]),
        (&json!("ListenerReachable"), &json!("NotAnswering"))
    );
    let message = said["message"].as_str().unwrap_or_default();
    assert!(message.contains("since 2026-11-24T16:00:00.000Z"), "{message}");
    operator.runner.listener_reachability(uuid, Reachability::Reachable);
    site.wait("webhookapp/shop", "ListenerReachable");
    site.wait("webhookapp/shop", "Ready");
}
