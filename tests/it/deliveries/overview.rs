//! Apps and webhooks with what became of their events.

use serde_json::{Value, json};
use uuid::Uuid;
use webhook_operator::moment::Moment;
use webhook_operator::plan::Reachability;
use webhook_operator::routes::{Id, TriggerOutcome};
use webhook_operator::store::DeliveryState;

use super::world::{Answer, World};

const APP: Uuid = Uuid::from_u128(1);
/// That of the shelf's events.
const WEBHOOK: Uuid = Uuid::from_u128(2);

fn shop() -> World {
    let world = World::standalone();
    world.add_app("team-a/shop", 1, "http://192.0.2.1/");
    world.add_webhook("team-a/pay", "shop", json!({"uuid": WEBHOOK}));
    world
}

fn names(answer: &Answer) -> Vec<String> {
    let items = answer.ok()["items"].as_array().unwrap().clone();
    items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

fn minutes(item: &Value, of: &str) -> u64 {
    let minutes = item["lastHour"][of].as_array().unwrap();
    minutes.iter().map(|count| count.as_u64().unwrap()).sum()
}

#[tokio::test]
async fn what_has_a_problem_comes_first_over_all_pages() {
    let world = shop();
    for name in ["zebra", "alpha"] {
        world.add_webhook(&format!("team-a/{name}"), "missing", json!({}));
    }
    world.add_webhook("team-a/idle", "shop", json!({"suspend": true}));
    let expected = ["alpha", "zebra", "idle", "pay"];
    assert_eq!(names(&world.get("/api/webhooks").await), expected);
    let mut found = Vec::new();
    let mut cursor = String::new();
    for _ in 0..expected.len() {
        let answer = world.get(&format!("/api/webhooks?limit=1&cursor={cursor}")).await;
        found.extend(names(&answer));
        cursor = answer.ok()["cursor"].as_str().unwrap_or_default().to_owned();
    }
    assert_eq!(found, expected);
    assert_eq!(cursor, "", "there is nothing behind the last one");
}

#[tokio::test]
async fn a_webhook_says_how_it_is_and_what_became_of_its_events() {
    let world = shop();
    for state in [
        DeliveryState::Succeeded,
        DeliveryState::Dead,
        DeliveryState::Pending,
        DeliveryState::Waiting,
    ] {
        world.shelf.add("team-a/pay", state);
    }
    let counts = world.runner.routes().meters().unwrap();
    let counts = counts.webhooks.of(Id { app: APP, webhook: WEBHOOK });
    counts.triggered(TriggerOutcome::Stored, Moment::now());
    counts.triggered(TriggerOutcome::InvalidSignature, Moment::now());
    counts.attempted(false, Moment::now());
    let webhook = world.get("/api/webhooks").await.ok()["items"][0].clone();
    assert_eq!(webhook["deliveries"], json!({"succeeded": 1, "pending": 2, "dead": 1}));
    let hour = ["accepted", "refused", "succeeded", "failed"].map(|of| minutes(&webhook, of));
    assert_eq!(hour, [1, 1, 0, 1]);
    assert_eq!(
        (&webhook["ready"], &webhook["mode"], &webhook["action"], &webhook["app"]),
        (&json!(true), &json!("Queued"), &json!("pay"), &json!("shop"))
    );
    let app = world.get("/api/apps").await.ok()["items"][0].clone();
    assert_eq!((&app["webhooks"], &app["deliveries"]), (&json!(1), &webhook["deliveries"]));
    assert_eq!(app["lastHour"], webhook["lastHour"]);
}

#[tokio::test]
async fn an_app_whose_listener_does_not_answer_has_a_problem() {
    let world = shop();
    world.add_app("team-a/a", 3, "http://192.0.2.2/");
    let first = async || world.get("/api/apps").await.ok()["items"][0].clone();
    let found =
        Reachability::Unreachable { since: Moment(0), why: "no answer".into(), failures: 10 };
    world.runner.listener_reachability(APP, Reachability::Reachable);
    world.runner.listener_reachability(APP, found);
    let app = first().await;
    assert_eq!((&app["name"], &app["reachable"]), (&json!("shop"), &json!(false)));
    assert!(app["listenerMessage"].as_str().unwrap().contains("no answer"));
}

#[tokio::test]
async fn neither_urls_nor_uuids_are_told() {
    let world = shop();
    for path in ["/api/apps", "/api/webhooks"] {
        let body = world.get(path).await.body;
        for secret in [APP.to_string(), WEBHOOK.to_string(), "192.0.2.1".into(), "hooks.".into()] {
            assert!(!body.contains(&secret), "{path}: {secret}");
        }
    }
}

#[tokio::test]
async fn lists_are_narrowed_by_namespace_and_app() {
    let world = shop();
    world.add_webhook("team-b/other", "shop", json!({}));
    world.add_webhook("team-a/more", "store", json!({}));
    for (query, expected) in [
        ("namespace=team-b", &["other"][..]),
        ("namespace=team-a&app=shop", &["pay"]),
        ("app=store", &["more"]),
        ("app=none", &[]),
    ] {
        assert_eq!(names(&world.get(&format!("/api/webhooks?{query}")).await), expected, "{query}");
    }
    world.get("/api/apps?app=shop").await.fails(400, "invalid_filter");
    world.get("/api/webhooks?state=dead").await.fails(400, "invalid_filter");
}
