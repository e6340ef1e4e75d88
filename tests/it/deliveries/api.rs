//! What the API answers, and when it does not.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use uuid::Uuid;
use webhook_operator::delivery;
use webhook_operator::store::{DeliveryState, StoreError};

use super::world::World;

#[tokio::test]
async fn a_list_is_read_page_by_page_the_latest_first() {
    let world = World::standalone();
    let mut added: Vec<String> = (0..5)
        .map(|_| world.shelf.add("team-a/pay", DeliveryState::Succeeded).to_string())
        .collect();
    added.reverse();
    assert_eq!(world.get("/api/deliveries").await.ids(), added);

    let mut read = Vec::new();
    let mut path = "/api/deliveries?limit=2".to_owned();
    let mut pages = 0;
    loop {
        let page = world.get(&path).await;
        read.extend(page.ids());
        pages += 1;
        match page.ok()["cursor"].as_str() {
            Some(cursor) => path = format!("/api/deliveries?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!((read, pages), (added, 3));
    // A page that is exactly full is the last one where nothing follows.
    assert_eq!(world.get("/api/deliveries?limit=5").await.ok()["cursor"], Value::Null);
}

#[tokio::test]
async fn a_list_has_what_is_asked_for() {
    let world = World::standalone();
    let pay = world.shelf.add("team-a/pay", DeliveryState::Dead).to_string();
    let other = world.shelf.add("team-a/other", DeliveryState::Succeeded).to_string();
    let waiting = world.shelf.add("team-b/pay", DeliveryState::Waiting).to_string();
    for (query, ids) in [
        ("namespace=team-a", vec![&other, &pay]),
        ("webhook=pay", vec![&waiting, &pay]),
        ("webhook=pay&namespace=team-b", vec![&waiting]),
        ("state=dead", vec![&pay]),
        ("state=pending", vec![&waiting]),
        ("since=2026-09-21T14:13:21Z", vec![&waiting, &other]),
        ("until=2026-09-21T14:13:21Z", vec![&pay]),
        ("since=2099-01-01T00:00:00Z", vec![]),
    ] {
        let found = world.get(&format!("/api/deliveries?{query}")).await.ids();
        assert_eq!(found.iter().collect::<Vec<_>>(), ids, "{query}");
    }
    world.get("/api/deliveries?state=gone").await.fails(400, "invalid_filter");
}

#[tokio::test]
async fn one_delivery_is_shown_with_all_that_is_kept_but_for_secrets() {
    let world = World::standalone();
    let id = world.shelf.add_with("team-a/pay", DeliveryState::Dead, |detail| {
        detail.headers = HeaderMap::from_iter([
            (http::header::AUTHORIZATION, HeaderValue::from_static("Bearer s3cret")),
            (http::header::ETAG, HeaderValue::from_static("visible")),
            (delivery::QUERY, HeaderValue::from_static("a=1&access_token=s3cret")),
        ]);
        detail.body = Bytes::from_static(br#"{"amount":12,"api_token":"s3cret"}"#);
        detail.body_bytes = 34;
    });
    let answer = world.get(&format!("/api/deliveries/{id}")).await;
    assert!(!answer.body.contains("s3cret"), "{}", answer.body);
    assert_eq!(
        answer.ok(),
        json!({
            "id": id, "eventId": id, "generation": 1,
            "namespace": "team-a", "app": "shop", "webhook": "pay", "action": "pay",
            "state": "dead", "waiting": false, "reason": "Rejected",
            "attemptCount": 1, "lastStatus": 404,
            "createdAt": "2026-09-21T14:13:20.000Z",
            "dueAt": null,
            "finishedAt": "2026-09-21T14:13:20.030Z",
            "attempts": [{
                "number": 1, "startedAt": "2026-09-21T14:13:20.000Z", "durationMilliseconds": 12,
                "status": 404, "error": "the listener answered 404",
                "answer": {"bytes": 14, "truncated": false, "text": "no such action"},
            }],
            "contentType": "application/json",
            "headers": [
                {"name": "authorization", "value": "[masked]"},
                {"name": "etag", "value": "visible"},
                {"name": "webhook-query", "value": "a=1&access_token=[masked]"},
            ],
            "body": {
                "bytes": 34, "truncated": false,
                "text": "{\"amount\":12,\"api_token\":\"[masked]\"}",
            },
            "transformed": null,
        })
    );
    for unknown in [Uuid::from_u128(3).to_string(), "x".into(), "..%2f".into()] {
        world.get(&format!("/api/deliveries/{unknown}")).await.fails(404, "error_404");
    }
}

#[tokio::test]
async fn a_replay_is_a_new_delivery_of_the_same_event() {
    let world = World::standalone();
    let dead = world.shelf.add("team-a/pay", DeliveryState::Dead);
    let answer = world.post(&format!("/api/deliveries/{dead}/replay"), "").await;
    let id = answer.ok()["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.status, 201);
    assert_eq!(answer.headers["location"], format!("/api/deliveries/{id}"));
    let again = world.get(&format!("/api/deliveries/{id}")).await.ok();
    assert_eq!(
        (&again["eventId"], &again["generation"], &again["state"]),
        (&json!(dead), &json!(2), &json!("pending"))
    );
    world.post(&format!("/api/deliveries/{id}/replay"), "").await.fails(409, "not_ended");
    let unknown = Uuid::from_u128(3);
    world.post(&format!("/api/deliveries/{unknown}/replay"), "").await.fails(404, "error_404");
}

#[tokio::test]
async fn a_replay_by_filter_goes_on_until_everything_that_is_meant_was_replayed() {
    let world = World::standalone();
    for webhook in ["pay", "pay", "pay", "pay", "pay", "other"] {
        world.shelf.add(&format!("team-a/{webhook}"), DeliveryState::Dead);
    }
    world.shelf.add("team-a/pay", DeliveryState::Succeeded);
    world.shelf.add("team-a/pay", DeliveryState::Pending);
    let body = r#"{"namespace":"team-a","webhook":"pay"}"#;
    let answer = world.post("/api/deliveries/replay", body).await;
    assert_eq!(answer.ok(), json!({"replayed": 5, "unavailable": []}));
    let answer = world.post("/api/deliveries/replay", r#"{"state":"succeeded"}"#).await;
    assert_eq!(answer.ok(), json!({"replayed": 1, "unavailable": []}));
    world
        .post("/api/deliveries/replay", r#"{"state":"pending"}"#)
        .await
        .fails(400, "invalid_filter");
    world.post("/api/deliveries/replay", "").await.fails(400, "invalid_filter");
    let large = format!(r#"{{"webhook":"{}"}}"#, "a".repeat(20_000));
    world.post("/api/deliveries/replay", &large).await.fails(413, "payload_too_large");
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_a_503_that_says_nothing_of_why() {
    let world = World::standalone();
    let dead = world.shelf.add("team-a/pay", DeliveryState::Dead);
    for (failure, reason) in [
        (StoreError::Failed("/data/store.db: input/output error".into()), "unavailable"),
        (StoreError::Busy, "unavailable"),
        (StoreError::Full, "store_full"),
    ] {
        *world.shelf.failure.lock().unwrap() = Some(failure);
        for answer in [
            world.get("/api/deliveries").await,
            world.post(&format!("/api/deliveries/{dead}/replay"), "").await,
            world.post("/api/deliveries/replay", "{}").await,
        ] {
            answer.fails(503, reason);
            assert!(answer.headers.contains_key("retry-after"));
            assert!(!answer.body.contains("/data"), "{}", answer.body);
        }
    }
}

#[tokio::test]
async fn other_paths_and_methods_are_errors_of_the_common_form() {
    let world = World::standalone();
    world.get("/api/other").await.fails(404, "error_404");
    let answer = world.call("DELETE", "/api/deliveries", &[], "").await;
    answer.fails(405, "method_not_allowed");
    assert_eq!(answer.headers["allow"], "GET,HEAD");
}
