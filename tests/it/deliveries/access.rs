//! Who may call, in a cluster and outside.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use futures_util::future::BoxFuture;
use http::Request;
use serde_json::json;
use uuid::Uuid;
use webhook_operator::http::Peer;
use webhook_operator::source::{AccessReviewer, Right, StoreError, User, Verb};
use webhook_operator::store::DeliveryState;

use super::world::World;

/// A cluster with users `jane` and `admin`, whose tokens are their names.
#[derive(Default)]
pub struct Cluster {
    rights: Mutex<HashMap<String, Vec<Right>>>,
}

impl Cluster {
    pub fn grant(&self, user: &str, verb: Verb, namespace: Option<&str>, webhook: Option<&str>) {
        let right =
            Right { verb, namespace: namespace.map(Into::into), webhook: webhook.map(Into::into) };
        self.rights.lock().unwrap().entry(user.into()).or_default().push(right);
    }
}

/// Whether a right covers what is asked for: in all namespaces it does so in each of them.
fn covers(right: &Right, asked: &Right) -> bool {
    right.verb == asked.verb
        && (right.namespace.is_none() || right.namespace == asked.namespace)
        && (right.webhook.is_none() || right.webhook == asked.webhook)
}

impl AccessReviewer for Cluster {
    fn user<'a>(
        &'a self,
        token: &'a str,
        _: Peer,
    ) -> BoxFuture<'a, Result<Option<User>, StoreError>> {
        Box::pin(async move {
            match token {
                "jane" | "admin" => Ok(Some(User { name: token.into(), ..User::default() })),
                "down" => Err(StoreError::Unavailable("no route to 192.0.2.1".into())),
                _ => Ok(None),
            }
        })
    }

    fn allows<'a>(
        &'a self,
        user: &'a User,
        right: &'a Right,
        _: Peer,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        let rights = self.rights.lock().unwrap();
        let granted = rights.get(&user.name).into_iter().flatten();
        let allowed = granted.into_iter().any(|granted| covers(granted, right));
        Box::pin(async move { Ok(allowed) })
    }
}

fn world() -> (World, Arc<Cluster>) {
    let cluster = Arc::new(Cluster::default());
    (World::cluster(cluster.clone()), cluster)
}

#[tokio::test]
async fn without_a_token_that_the_cluster_knows_nothing_is_answered() {
    let (world, _) = world();
    let id = world.shelf.add("team-a/pay", DeliveryState::Dead);
    let calls = [
        ("GET", "/api/deliveries".to_owned()),
        ("GET", format!("/api/deliveries/{id}")),
        // Not even whether it is there.
        ("GET", format!("/api/deliveries/{}", Uuid::from_u128(3))),
        ("POST", format!("/api/deliveries/{id}/replay")),
        ("POST", "/api/deliveries/replay".to_owned()),
    ];
    for (method, path) in &calls {
        let answer = world.call(method, path, &[], "").await;
        answer.fails(401, "unauthenticated");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        world.call_as("stranger", method, path, "{}").await.fails(401, "invalid_token");
        let answer = world.call_as("down", method, path, "{}").await;
        answer.fails(503, "unavailable");
        assert!(!answer.body.contains("192.0.2.1"), "{}", answer.body);
    }
}

#[tokio::test]
async fn who_has_rights_in_one_namespace_sees_and_does_nothing_in_another() {
    let (world, cluster) = world();
    let mine = world.shelf.add("team-a/pay", DeliveryState::Dead).to_string();
    let other = world.shelf.add("team-b/pay", DeliveryState::Dead).to_string();
    for verb in [Verb::List, Verb::Get, Verb::Create] {
        cluster.grant("jane", verb, Some("team-a"), None);
    }
    let get = |path: String| {
        let world = &world;
        async move { world.call_as("jane", "GET", &path, "").await }
    };
    let post = |path: String, body: &'static str| {
        let world = &world;
        async move { world.call_as("jane", "POST", &path, body).await }
    };
    assert_eq!(get("/api/deliveries?namespace=team-a".into()).await.ids(), [&*mine]);
    get("/api/deliveries?namespace=team-b".into()).await.fails(403, "forbidden");
    get("/api/deliveries".into()).await.fails(403, "forbidden");

    get(format!("/api/deliveries/{mine}")).await.ok();
    let hidden = get(format!("/api/deliveries/{other}")).await;
    let absent = get(format!("/api/deliveries/{}", Uuid::from_u128(3))).await;
    hidden.fails(404, "error_404");
    assert_eq!(hidden.body, absent.body);

    post(format!("/api/deliveries/{mine}/replay"), "").await.ok();
    post(format!("/api/deliveries/{other}/replay"), "").await.fails(404, "error_404");
    post("/api/deliveries/replay".into(), "{}").await.fails(403, "forbidden");
    post("/api/deliveries/replay".into(), r#"{"namespace":"team-b"}"#)
        .await
        .fails(403, "forbidden");
    let replayed = post("/api/deliveries/replay".into(), r#"{"namespace":"team-a"}"#).await;
    assert_eq!(replayed.ok(), json!({"replayed": 1, "unavailable": []}));
}

#[tokio::test]
async fn who_may_read_may_not_therefore_replay() {
    let (world, cluster) = world();
    let id = world.shelf.add("team-a/pay", DeliveryState::Dead);
    cluster.grant("jane", Verb::Get, Some("team-a"), None);
    let path = format!("/api/deliveries/{id}/replay");
    world.call_as("jane", "POST", &path, "").await.fails(403, "forbidden");
    let body = r#"{"namespace":"team-a"}"#;
    world.call_as("jane", "POST", "/api/deliveries/replay", body).await.fails(403, "forbidden");
    assert_eq!(world.shelf.details.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn rights_may_be_of_all_namespaces_or_of_one_webhook() {
    let (world, cluster) = world();
    let pay = world.shelf.add("team-a/pay", DeliveryState::Dead).to_string();
    let other = world.shelf.add("team-a/other", DeliveryState::Dead).to_string();
    cluster.grant("admin", Verb::List, None, None);
    let all = world.call_as("admin", "GET", "/api/deliveries", "").await;
    assert_eq!(all.ids(), [&*other, &*pay]);

    cluster.grant("jane", Verb::List, Some("team-a"), Some("pay"));
    cluster.grant("jane", Verb::Get, Some("team-a"), Some("pay"));
    let path = "/api/deliveries?namespace=team-a&webhook=pay";
    assert_eq!(world.call_as("jane", "GET", path, "").await.ids(), [&*pay]);
    let path = "/api/deliveries?namespace=team-a";
    world.call_as("jane", "GET", path, "").await.fails(403, "forbidden");
    let path = format!("/api/deliveries/{other}");
    world.call_as("jane", "GET", &path, "").await.fails(404, "error_404");
}

#[tokio::test]
async fn outside_a_cluster_only_this_machine_is_answered_and_no_web_site() {
    let world = World::standalone();
    world.get("/api/deliveries").await.ok();
    for header in [
        ("host", "evil.example:9090"),
        ("origin", "http://evil.example"),
        ("sec-fetch-site", "cross-site"),
    ] {
        world.call("GET", "/api/deliveries", &[header], "").await.fails(403, "forbidden");
    }
    let remote: std::net::IpAddr = [192, 0, 2, 1].into();
    for peer in [Some(Some(remote)), Some(None), None] {
        let mut request = Request::get("/api/deliveries").header("host", "127.0.0.1:9090");
        if let Some(peer) = peer {
            request = request.extension(peer);
        }
        world.send(request.body(Body::empty()).unwrap()).await.fails(403, "forbidden");
    }
}

#[tokio::test]
async fn a_post_that_a_form_of_another_site_could_send_is_refused() {
    let world = World::standalone();
    let id = world.shelf.add("team-a/pay", DeliveryState::Dead);
    for path in [format!("/api/deliveries/{id}/replay"), "/api/deliveries/replay".into()] {
        for headers in [&[][..], &[("content-type", "text/plain")]] {
            let answer = world.call("POST", &path, headers, "{}").await;
            answer.fails(415, "unsupported_media_type");
        }
    }
    assert_eq!(world.shelf.details.lock().unwrap().len(), 1);
}
