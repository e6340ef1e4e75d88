//! Events: what `kubectl describe` tells of an app and of a webhook.

use std::time::Duration;

use serde_json::{Value, json};
use webhook_operator::moment::Moment;
use webhook_operator::plan::Reachability;
use webhook_operator::resources::DeliveryCounts;

use crate::fixture::{Said, Site, app, eventually, webhook, with};

/// How often numbers are refreshed here.
const INTERVAL: Duration = Duration::from_millis(200);

/// The listener's last answer, in these tests.
const LAST: Moment = Moment(1_795_536_000_000);

/// The events of an object: type, reason, note; in the order in which they came.
fn told(site: &Site, object: &str) -> Vec<[String; 3]> {
    let uid = site.get(object)["metadata"]["uid"].clone();
    let events = site.kubectl(&["get", "events.events.k8s.io", "-o", "json"]);
    let events: Value = serde_json::from_str(&events).expect("JSON of kubectl");
    let events = events["items"].as_array().expect("a list");
    let mut events: Vec<_> =
        events.iter().filter(|event| event["regarding"]["uid"] == uid).collect();
    events.sort_by_key(|event| event["eventTime"].as_str());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    events.iter().map(|event| ["type", "reason", "note"].map(|field| text(&event[field]))).collect()
}

fn reasons(site: &Site, object: &str) -> Vec<String> {
    told(site, object).into_iter().map(|[_, reason, _]| reason).collect()
}

async fn wait_for(site: &Site, object: &str, expected: &[&str]) {
    eventually(&format!("{object} to be told {expected:?}"), || reasons(site, object) == expected)
        .await;
}

fn unreachable() -> Reachability {
    Reachability::Unreachable { since: LAST, why: "it answered 503".into(), failures: 10 }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_of_a_webhook_is_told_as_kubectl_describe_shows_it() {
    let site = Site::new();
    let said = std::sync::Arc::<Said>::default();
    let operator = site.operator_counting(&said, INTERVAL).await;
    site.apply(&app("shop"));
    let refs = json!([{"name": "gh", "key": "secret"}]);
    let verify = json!([{"type": "GitHub", "secretRefs": refs}]);
    site.apply(&with(webhook("payments", "shop"), "/spec/verify", verify));
    wait_for(&site, "webhook/payments", &["SecretNotFound"]).await;
    site.apply(&json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "gh"},
        "stringData": {"secret": "s3cret"},
    }));
    wait_for(&site, "webhook/payments", &["SecretNotFound", "Ready"]).await;
    let counts = |succeeded, dead| DeliveryCounts { succeeded, dead, pending: 0 };
    said.say(&operator, &site.key("payments"), counts(1, 0), LAST);
    wait_for(&site, "webhook/payments", &["SecretNotFound", "Ready", "FirstDelivery"]).await;
    said.say(&operator, &site.key("payments"), counts(1, 3), LAST);
    let all = ["SecretNotFound", "Ready", "FirstDelivery", "DeadLetters"];
    wait_for(&site, "webhook/payments", &all).await;
    let events = told(&site, "webhook/payments");
    let types: Vec<_> = events.iter().map(|event| &*event[0]).collect();
    assert_eq!(types, ["Warning", "Normal", "Normal", "Warning"]);
    let note = &events[3][2];
    let command = format!(
        "see kubectl webhook deliveries list -n {} --webhook payments --state dead",
        site.namespace
    );
    assert!(note.starts_with("3 deliveries died since 20"), "{note}");
    assert!(note.contains("Z, the last because the listener answered 410 Gone; "), "{note}");
    assert!(note.ends_with(&command), "{note}");

    let described = site.kubectl(&["describe", "webhook/payments"]);
    let events = described.split_once("Events:").expect("events").1;
    for [type_, reason, note] in told(&site, "webhook/payments") {
        let line = events.lines().find(|line| line.contains(&reason)).expect("a line");
        assert!(line.contains(&type_) && line.contains(&note), "{line}");
        assert!(line.contains("webhook-operator"), "{line}");
        assert!(!line.contains("hooks.example.com") && !line.contains("s3cret"), "{line}");
    }
    let last = described.lines().find(|line| line.contains("Last Delivery:")).expect("a line");
    assert!(last.ends_with("2026-11-24T16:00:00Z"), "{last}");
    assert_eq!(reasons(&site, "webhookapp/shop"), ["Ready"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_does_not_answer_is_told_of_and_so_is_that_it_answers_again() {
    let site = Site::new();
    let operator = site.operator().await;
    site.apply(&app("shop"));
    site.wait("webhookapp/shop", "Ready");
    let uuid = operator.runner.planner().app_uuid(&site.key("shop")).expect("the app");
    operator.runner.listener_reachability(uuid, unreachable());
    wait_for(&site, "webhookapp/shop", &["Ready", "ListenerUnreachable"]).await;
    operator.runner.listener_reachability(uuid, Reachability::Reachable);
    let all = ["Ready", "ListenerUnreachable", "ListenerReachable"];
    wait_for(&site, "webhookapp/shop", &all).await;
    let events = site.kubectl(&["events", "--for=webhookapp/shop"]);
    assert!(events.contains("WebhookApp/shop"), "{events}");
    assert!(events.contains("the last one: it answered 503"), "{events}");
    let shown = site.kubectl(&["get", "webhookapps"]);
    let row: Vec<_> = shown.lines().nth(1).expect("a row").split_whitespace().collect();
    assert_eq!(row[..5], ["shop", "True", "Succeeded", "True", "0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_the_lease_over_repeats_no_event_and_keeps_the_numbers() {
    let site = Site::new();
    let said = std::sync::Arc::<Said>::default();
    let first = site.operator_counting(&said, INTERVAL).await;
    site.apply(&app("shop"));
    site.apply(&webhook("payments", "shop"));
    site.wait("webhook/payments", "Ready");
    let counts = DeliveryCounts { succeeded: 7, dead: 1, pending: 2 };
    said.say(&first, &site.key("payments"), counts, LAST);
    wait_for(&site, "webhook/payments", &["Ready", "FirstDelivery", "DeadLetters"]).await;
    let uuid = first.runner.planner().app_uuid(&site.key("shop")).expect("the app");
    first.runner.listener_reachability(uuid, unreachable());
    wait_for(&site, "webhookapp/shop", &["Ready", "ListenerUnreachable"]).await;
    first.stop().await;

    // It does not know the numbers, nor whether the listener answers.
    let second = site.operator().await;
    second.leads().await;
    let before = site.get("webhook/payments")["status"].clone();
    site.kubectl(&[
        "patch",
        "webhook/payments",
        "--type=merge",
        "-p",
        r#"{"spec":{"suspend":true}}"#,
    ]);
    let events = ["Ready", "FirstDelivery", "DeadLetters", "Suspended"];
    wait_for(&site, "webhook/payments", &events).await;
    let after = site.get("webhook/payments")["status"].clone();
    assert_eq!(after["deliveries"], json!(counts));
    assert_eq!(after["lastDelivery"], "2026-11-24T16:00:00Z");
    assert_eq!(before["deliveries"], after["deliveries"]);
    assert_eq!(reasons(&site, "webhookapp/shop"), ["Ready", "ListenerUnreachable"]);
    site.wait("webhookapp/shop", "ListenerReachable=False");
    second.stop().await;
}
