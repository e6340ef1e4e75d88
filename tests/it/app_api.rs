//! The app API: SPEC section 7, and the create rows of the protocol that apps already speak.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::{Router, http};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Request, StatusCode};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use webhook_operator::app_api::{AppApi, router};
use webhook_operator::app_token::Tokens;
use webhook_operator::http::Peer;
use webhook_operator::plan::decide::ListenerPolicy;
use webhook_operator::plan::identity::IdentityKey;
use webhook_operator::plan::{AppInput, Change, Key, Settings, WebhookInput};
use webhook_operator::resources::{Webhook, WebhookApp};
use webhook_operator::routes::{Id, Table};
use webhook_operator::source::{Account, PlanRunner, StoreError, TokenReviewer, WebhookStore};

const NOW: u64 = 1_790_000_000;
const APP: &str = "14361375-54d4-4ddb-8d2d-0dd212e13cd1";
const OTHER_APP: &str = "24361375-54d4-4ddb-8d2d-0dd212e13cd2";
const DECLARED: &str = "c14990db-96a1-44c6-b13a-8ab12db96f61";
const NOT_FOUND: &str = r#"{"message":"Not Found.","reason":"error_404","metadata":{}}"#;
const INVALID_TOKEN: &str =
    r#"{"message":"Your token is invalid.","reason":"invalid_token","metadata":{}}"#;
const UNAUTHENTICATED: &str =
    r#"{"message":"You are not authenticated","reason":"unauthenticated","metadata":{}}"#;

// ---- the fakes ----

/// Keeps what was created, and applies it to the runner as a source does.
struct FakeStore {
    runner: Arc<PlanRunner>,
    created: Mutex<BTreeMap<Key, Webhook>>,
    second: AtomicI64,
    /// What the next call fails with.
    failure: Mutex<Option<StoreError>>,
}

impl FakeStore {
    fn make(&self, mut webhook: Webhook) -> Result<(), StoreError> {
        self.fail()?;
        let second = self.second.fetch_add(1, Ordering::Relaxed);
        let created = Timestamp::from_second(NOW as i64 + second).unwrap();
        webhook.metadata.creation_timestamp = Some(Time(created));
        let key = Key::of(&webhook);
        self.runner.apply([Change::Webhook(WebhookInput::of(&webhook))]);
        self.created.lock().unwrap().insert(key, webhook);
        Ok(())
    }

    fn remove(&self, key: &Key) -> Result<(), StoreError> {
        self.fail()?;
        if self.created.lock().unwrap().remove(key).is_none() {
            return Err(StoreError::Declared);
        }
        self.runner.apply([Change::WebhookGone(key.clone())]);
        Ok(())
    }

    fn fail(&self) -> Result<(), StoreError> {
        self.failure.lock().unwrap().take().map_or(Ok(()), Err)
    }
}

impl WebhookStore for FakeStore {
    fn create(&self, webhook: Webhook) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.make(webhook) })
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.remove(key) })
    }
}

/// Knows the token `sa:<namespace>:<name>`; `sa:down` finds the cluster unreachable.
#[derive(Default)]
struct FakeReviewer {
    asked: AtomicUsize,
}

impl TokenReviewer for FakeReviewer {
    fn review<'a>(
        &'a self,
        token: &'a str,
        _: Peer,
    ) -> BoxFuture<'a, Result<Option<Account>, StoreError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let parts: Vec<_> = token.split(':').collect();
            match parts[..] {
                ["sa", "down"] => Err(StoreError::Unavailable("no route to host".into())),
                ["sa", namespace, name] => {
                    Ok(Some(Account { namespace: namespace.into(), name: name.into() }))
                }
                _ => Ok(None),
            }
        })
    }
}

// ---- the world ----

struct World {
    router: Router,
    runner: Arc<PlanRunner>,
    store: Arc<FakeStore>,
    reviewer: Arc<FakeReviewer>,
    tokens: Arc<Tokens>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn value(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn uuid(&self) -> String {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        self.value()["uuid"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    fn is(&self, status: u16, body: &str) {
        assert_eq!((self.status.as_u16(), self.body.as_str()), (status, body));
    }

    /// An error of the common form, with this reason.
    #[track_caller]
    fn fails(&self, status: u16, reason: &str) {
        let value = self.value();
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        assert_eq!(value["reason"], reason);
        assert_eq!(value["metadata"], json!({}));
        assert!(value["message"].as_str().is_some_and(|message| !message.is_empty()));
        assert_eq!(self.headers["content-type"], "application/json");
    }
}

fn app(namespace: &str, name: &str, spec: Value) -> Change {
    let app: WebhookApp = serde_json::from_value(json!({
        "apiVersion": "lenra.io/v1alpha1", "kind": "WebhookApp",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }))
    .unwrap();
    Change::App(AppInput::of(&app))
}

fn webhook(name: &str, spec: Value) -> Change {
    let webhook: Webhook = serde_json::from_value(json!({
        "apiVersion": "lenra.io/v1alpha1", "kind": "Webhook",
        "metadata": {"name": name, "namespace": "team-a", "creationTimestamp": "2020-01-01T00:00:00Z"},
        "spec": spec,
    }))
    .unwrap();
    Change::Webhook(WebhookInput::of(&webhook))
}

impl World {
    /// `team-a/shop` and `team-a/other`, both without a Service, thus not Ready.
    fn new() -> Self {
        let settings = Settings {
            external_url: "http://hooks.example.com".into(),
            listeners: ListenerPolicy::default(),
            identity: IdentityKey::new(&[7; 32]).unwrap(),
            key_sets: Arc::default(),
        };
        let runner = Arc::new(PlanRunner::new(settings, Arc::new(Table::default())));
        let listener = json!({"service": {"name": "shop", "port": 80}});
        runner.apply([
            app("team-a", "shop", json!({"uuid": APP, "listener": listener, "serviceAccounts": ["shop", "both"]})),
            app(
                "team-a",
                "other",
                json!({"uuid": OTHER_APP, "environmentId": 9, "listener": listener, "serviceAccounts": ["both"]}),
            ),
        ]);
        let store = Arc::new(FakeStore {
            runner: runner.clone(),
            created: Mutex::default(),
            second: AtomicI64::default(),
            failure: Mutex::default(),
        });
        let reviewer = Arc::new(FakeReviewer::default());
        let tokens = Arc::new(Tokens::new(&IdentityKey::new(&[7; 32]).unwrap()));
        let api = AppApi::new(
            runner.clone(),
            store.clone(),
            tokens.clone(),
            Some(reviewer.clone()),
            || NOW,
        );
        Self { router: router(api), runner, store, reviewer, tokens }
    }

    fn token(&self, app: &str) -> String {
        self.tokens.issue(&Key::new("team-a", app), "", NOW, Duration::from_secs(60))
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// A request with this `Authorization`, if any.
    async fn call_as(
        &self,
        authorization: Option<&str>,
        method: Method,
        path: &str,
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    /// A request of `team-a/shop`.
    async fn call(&self, method: Method, path: &str, body: impl Into<Body>) -> Answer {
        let authorization = format!("Bearer {}", self.token("shop"));
        self.call_as(Some(&authorization), method, path, body).await
    }

    async fn create(&self, body: &str) -> Answer {
        self.call(Method::POST, "/app/webhooks", body.to_owned()).await
    }

    async fn list_as(&self, authorization: &str) -> Answer {
        self.call_as(Some(authorization), Method::GET, "/app/webhooks", "").await
    }
}

// ---- create ----

#[tokio::test]
async fn a_created_webhook_is_answered_with_exactly_these_fields_in_this_order() {
    let world = World::new();
    let answer = world.create(r#"{"action":"exampleListener","props":{"userId":1}}"#).await;
    let uuid = answer.uuid();
    answer.is(
        200,
        &format!(
            r#"{{"uuid":"{uuid}","action":"exampleListener","props":{{"userId":1}},"environment_id":1,"user_id":null}}"#
        ),
    );
    assert_eq!(answer.headers["content-type"], "application/json");
}

#[tokio::test]
async fn the_later_generation_says_listener_in_place_of_action() {
    let world = World::new();
    let path = "/app-api/v1/webhooks";
    let body = r#"{"listener":"exampleListener","props":{"userId":1}}"#;
    let answer = world.call(Method::POST, path, body).await;
    let uuid = answer.uuid();
    let expected = format!(
        r#"{{"uuid":"{uuid}","listener":"exampleListener","props":{{"userId":1}},"environment_id":1,"user_id":null}}"#
    );
    answer.is(200, &expected);
    world.call(Method::GET, path, "").await.is(200, &format!("[{expected}]"));
    world.call(Method::GET, &format!("{path}/{uuid}"), "").await.is(200, &expected);
    let first = world.call(Method::GET, &format!("/app/webhooks/{uuid}"), "").await;
    assert_eq!(first.value()["action"], "exampleListener");
    let gone = world.call(Method::DELETE, &format!("{path}/{uuid}"), "").await;
    gone.is(204, "");
}

#[tokio::test]
async fn props_are_null_when_unset_and_user_id_is_echoed_as_an_integer() {
    let world = World::new();
    for body in [r#"{"action":"test"}"#, r#"{"action":"test","props":null,"user_id":null}"#] {
        let value = world.create(body).await.value();
        assert_eq!((&value["props"], &value["user_id"]), (&Value::Null, &Value::Null));
    }
    let value = world.create(r#"{"action":"test","user_id":42}"#).await.value();
    assert_eq!(value["user_id"], 42);
}

#[tokio::test]
async fn props_come_back_in_the_order_in_which_they_were_given() {
    let world = World::new();
    let props = r#"{"z":1,"a":{"y":[1.5,"é\n"],"b":null},"m":9007199254740993}"#;
    let answer = world.create(&format!(r#"{{"action":"test","props":{props}}}"#)).await;
    assert!(answer.body.contains(&format!(r#""props":{props},"#)), "{}", answer.body);
}

#[tokio::test]
async fn the_environment_id_is_that_of_the_app() {
    let world = World::new();
    let authorization = format!("Bearer {}", world.token("other"));
    let body = r#"{"action":"test"}"#;
    let answer = world.call_as(Some(&authorization), Method::POST, "/app/webhooks", body).await;
    assert_eq!(answer.value()["environment_id"], 9);
}

#[tokio::test]
async fn a_created_webhook_has_a_route_when_the_response_arrives() {
    let world = World::new();
    let uuid = world.create(r#"{"action":"test"}"#).await.uuid();
    let id = Id { app: APP.parse().unwrap(), webhook: uuid.parse().unwrap() };
    assert!(world.runner.routes().get(id).is_some());
}

#[tokio::test]
async fn what_is_created_is_a_labelled_webhook_of_the_app_in_its_namespace() {
    let world = World::new();
    world.create(r#"{"action":"test","props":{"a":1},"user_id":7}"#).await;
    let created = world.store.created.lock().unwrap();
    let webhook = created.values().next().unwrap();
    assert_eq!(webhook.metadata.namespace.as_deref(), Some("team-a"));
    let name = webhook.metadata.name.as_deref().unwrap();
    assert!(name.starts_with("shop-") && name.len() == "shop-".len() + 10, "{name}");
    let labels = webhook.metadata.labels.as_ref().unwrap();
    assert_eq!(labels["app.kubernetes.io/managed-by"], "webhook-operator");
    let spec = serde_json::to_value(&webhook.spec).unwrap();
    let expected = json!({
        "app": "shop", "action": "test", "props": {"a": 1}, "userId": 7,
        "suspend": false,
    });
    assert_eq!(spec, expected);
}

#[tokio::test]
async fn unknown_fields_and_the_content_type_do_not_matter() {
    let world = World::new();
    let authorization = format!("Bearer {}", world.token("shop"));
    for content_type in ["text/plain", "application/json; charset=utf-8", "nonsense"] {
        let request = Request::post("/app/webhooks")
            .header("authorization", &authorization)
            .header("content-type", content_type)
            .body(Body::from(r#"{"action":"test","uuid":"mine","environment_id":5,"x":[]}"#));
        let answer = world.send(request.unwrap()).await;
        assert_eq!(answer.value()["environment_id"], 1);
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_taken_says_why() {
    let world = World::new();
    let long = format!(r#"{{"action":"{}"}}"#, "a".repeat(256));
    for (body, reason) in [
        ("", "invalid_action"),
        ("{}", "invalid_action"),
        (r#"{"action":null}"#, "invalid_action"),
        (r#"{"action":""}"#, "invalid_action"),
        (r#"{"action":"  "}"#, "invalid_action"),
        (r#"{"action":3}"#, "invalid_action"),
        (r#"{"listener":"test"}"#, "invalid_action"),
        (&long, "invalid_action"),
        (r#"{"action":"test","props":[1]}"#, "invalid_props"),
        (r#"{"action":"test","props":"text"}"#, "invalid_props"),
        (r#"{"action":"test","user_id":"1"}"#, "invalid_user_id"),
        (r#"{"action":"test","user_id":1.5}"#, "invalid_user_id"),
        (r#"{"action":"test""#, "invalid_json"),
        (r#"[{"action":"test"}]"#, "invalid_json"),
        ("action=test", "invalid_json"),
    ] {
        world.create(body).await.fails(400, reason);
    }
    world
        .create("{}")
        .await
        .is(400, r#"{"message":"action can't be blank","reason":"invalid_action","metadata":{}}"#);
    world.call(Method::POST, "/app-api/v1/webhooks", "{}").await.is(
        400,
        r#"{"message":"listener can't be blank","reason":"invalid_listener","metadata":{}}"#,
    );
    assert!(world.store.created.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_body_over_one_mebibyte_is_refused() {
    let world = World::new();
    let whole = |size: usize| {
        let fixed = r#"{"action":"test","x":""}"#.len();
        format!(r#"{{"action":"test","x":"{}"}}"#, "x".repeat(size - fixed))
    };
    assert_eq!(world.create(&whole(1024 * 1024)).await.status, StatusCode::OK);
    world.create(&whole(1024 * 1024 + 1)).await.fails(413, "payload_too_large");
    let chunks = (0..1100).map(|_| Ok::<_, std::io::Error>("x".repeat(1000)));
    let chunked = Body::from_stream(futures_util::stream::iter(chunks));
    world.call(Method::POST, "/app/webhooks", chunked).await.fails(413, "payload_too_large");
}

#[tokio::test]
async fn a_body_that_breaks_off_creates_nothing() {
    let world = World::new();
    let chunks = [Ok(r#"{"action":"test"}"#), Err(std::io::Error::other("reset"))];
    let broken = Body::from_stream(futures_util::stream::iter(chunks));
    world.call(Method::POST, "/app/webhooks", broken).await.fails(400, "invalid_body");
    assert!(world.store.created.lock().unwrap().is_empty());
}

// ---- list, show, delete ----

#[tokio::test]
async fn webhooks_are_listed_oldest_first() {
    let world = World::new();
    world.call(Method::GET, "/app/webhooks", "").await.is(200, "[]");
    let mut created = Vec::new();
    for n in 0..20 {
        created.push(world.create(&format!(r#"{{"action":"a{n}"}}"#)).await.body);
    }
    let list = world.call(Method::GET, "/app/webhooks", "").await;
    list.is(200, &format!("[{}]", created.join(",")));
}

#[tokio::test]
async fn webhooks_of_the_same_second_are_listed_in_the_order_of_their_creation() {
    let world = World::new();
    let mut created = Vec::new();
    for n in 0..20 {
        world.store.second.store(0, Ordering::Relaxed);
        created.push(world.create(&format!(r#"{{"action":"a{n}"}}"#)).await.body);
    }
    let list = world.call(Method::GET, "/app/webhooks", "").await;
    list.is(200, &format!("[{}]", created.join(",")));
}

#[tokio::test]
async fn a_uuid_that_two_webhooks_claim_is_listed_once() {
    let world = World::new();
    world.runner.apply(
        ["b", "a"]
            .map(|name| webhook(name, json!({"app": "shop", "action": name, "uuid": DECLARED}))),
    );
    let list = world.call(Method::GET, "/app/webhooks", "").await.value();
    assert_eq!((list.as_array().unwrap().len(), &list[0]["action"]), (1, &json!("a")));
}

#[tokio::test]
async fn one_webhook_is_shown_whatever_the_letter_case_of_its_uuid() {
    let world = World::new();
    let created = world.create(r#"{"action":"test"}"#).await;
    let uuid = created.uuid();
    for uuid in [uuid.clone(), uuid.to_uppercase()] {
        let path = format!("/app/webhooks/{uuid}");
        world.call(Method::GET, &path, "").await.is(200, &created.body);
    }
}

#[tokio::test]
async fn a_deleted_webhook_is_gone() {
    let world = World::new();
    let uuid = world.create(r#"{"action":"test"}"#).await.uuid();
    let path = format!("/app/webhooks/{uuid}");
    world.call(Method::DELETE, &path, "").await.is(204, "");
    world.call(Method::DELETE, &path, "").await.is(404, NOT_FOUND);
    world.call(Method::GET, &path, "").await.is(404, NOT_FOUND);
    world.call(Method::GET, "/app/webhooks", "").await.is(200, "[]");
}

#[tokio::test]
async fn a_webhook_of_a_manifest_is_shown_but_not_deleted() {
    let world = World::new();
    world
        .runner
        .apply([webhook("payments", json!({"app": "shop", "action": "pay", "uuid": DECLARED}))]);
    let path = format!("/app/webhooks/{DECLARED}");
    let shown = world.call(Method::GET, &path, "").await;
    shown.is(
        200,
        &format!(
            r#"{{"uuid":"{DECLARED}","action":"pay","props":null,"environment_id":1,"user_id":null}}"#
        ),
    );
    world.call(Method::DELETE, &path, "").await.fails(409, "declared_in_manifest");
    world.call(Method::GET, &path, "").await.is(200, &shown.body);
}

#[tokio::test]
async fn a_malformed_uuid_is_told_from_an_unknown_one() {
    let world = World::new();
    for method in [Method::GET, Method::DELETE] {
        for malformed in ["x", "1", &DECLARED[1..], &DECLARED.replace('-', ""), "%ff", "%C3%A9"] {
            let path = format!("/app/webhooks/{malformed}");
            world.call(method.clone(), &path, "").await.fails(400, "invalid_uuid");
        }
        let path = format!("/app/webhooks/{DECLARED}");
        world.call(method, &path, "").await.is(404, NOT_FOUND);
    }
}

// ---- paths and methods ----

#[tokio::test]
async fn any_other_path_is_not_found() {
    let world = World::new();
    let deeper = format!("/app/webhooks/{DECLARED}/x");
    for path in ["/", "/app", "/app/webhooks/", "/app-api/v1", "/app-api/v2/webhooks", &deeper] {
        world.call(Method::GET, path, "").await.is(404, NOT_FOUND);
    }
}

#[tokio::test]
async fn another_method_is_not_allowed_and_told_which_are() {
    let world = World::new();
    for base in ["/app/webhooks", "/app-api/v1/webhooks"] {
        let answer = world.call(Method::PUT, base, "{}").await;
        answer.fails(405, "method_not_allowed");
        assert_eq!(answer.headers["allow"], "GET,HEAD,POST");
        let answer = world.call(Method::PATCH, &format!("{base}/{DECLARED}"), "{}").await;
        answer.fails(405, "method_not_allowed");
        assert_eq!(answer.headers["allow"], "GET,HEAD,DELETE");
    }
}

// ---- who calls ----

#[tokio::test]
async fn without_a_bearer_token_nobody_is_authenticated() {
    let world = World::new();
    let path = format!("/app/webhooks/{DECLARED}");
    for (method, path) in [
        (Method::GET, "/app/webhooks"),
        (Method::POST, "/app/webhooks"),
        (Method::GET, &path),
        (Method::DELETE, &path),
        (Method::GET, "/app/webhooks/malformed"),
        (Method::POST, "/app-api/v1/webhooks"),
    ] {
        for authorization in [None, Some(""), Some("Bearer"), Some("Bearer "), Some("Basic YTpi")] {
            let answer = world.call_as(authorization, method.clone(), path, "").await;
            answer.is(401, UNAUTHENTICATED);
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
    }
}

#[tokio::test]
async fn a_token_that_is_no_good_is_invalid() {
    let world = World::new();
    let dead =
        world.tokens.issue(&Key::new("team-a", "shop"), "", NOW - 60, Duration::from_secs(60));
    let other_key = Tokens::new(&IdentityKey::new(&[8; 32]).unwrap());
    let forged = other_key.issue(&Key::new("team-a", "shop"), "", NOW, Duration::from_secs(60));
    let gone = world.token("gone");
    for token in [&dead, &forged, &gone] {
        let answer = world.list_as(&format!("Bearer {token}")).await;
        answer.is(401, INVALID_TOKEN);
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    assert_eq!(world.reviewer.asked.load(Ordering::Relaxed), 0, "they are ours, good or not");
    world.list_as("Bearer nonsense").await.is(401, INVALID_TOKEN);
}

#[tokio::test]
async fn a_token_belongs_to_one_app_and_not_to_a_later_one_of_its_name() {
    let world = World::new();
    let key = Key::new("team-a", "shop");
    let put = |uid: &str, generation: Option<&str>| {
        let Change::App(mut input) =
            app("team-a", "shop", json!({"listener": {"service": {"name": "shop", "port": 80}}}))
        else {
            panic!("no app")
        };
        let generation = generation.map(|generation| format!("/{generation}")).unwrap_or_default();
        input.instance = format!("{uid}{generation}").into();
        world.runner.apply([Change::App(input)]);
    };
    let token = |instance| {
        format!("Bearer {}", world.tokens.issue(&key, instance, NOW, Duration::from_secs(60)))
    };
    put("uid-1", None);
    world.list_as(&token("uid-1")).await.is(200, "[]");
    for instance in ["", "uid-2", "uid-1/2"] {
        world.list_as(&token(instance)).await.is(401, INVALID_TOKEN);
    }
    world.runner.apply([Change::AppGone(key.clone())]);
    put("uid-2", None);
    world.list_as(&token("uid-1")).await.is(401, INVALID_TOKEN);
    world.list_as(&token("uid-2")).await.is(200, "[]");
    // Raising the annotation revokes.
    put("uid-2", Some("2"));
    world.list_as(&token("uid-2")).await.is(401, INVALID_TOKEN);
    world.list_as(&token("uid-2/2")).await.is(200, "[]");
}

#[tokio::test]
async fn a_header_that_is_not_ascii_is_no_token() {
    let world = World::new();
    let request = Request::get("/app/webhooks")
        .header("authorization", http::HeaderValue::from_bytes(b"Bearer \xe9").unwrap())
        .body(Body::empty());
    world.send(request.unwrap()).await.is(401, INVALID_TOKEN);
}

#[tokio::test]
async fn the_letter_case_of_the_scheme_does_not_matter() {
    let world = World::new();
    let token = world.token("shop");
    world.list_as(&format!("bearer  {token}")).await.is(200, "[]");
}

#[tokio::test]
async fn an_app_that_is_deleted_loses_access() {
    let world = World::new();
    world.runner.apply([Change::AppGone(Key::new("team-a", "shop"))]);
    world.call(Method::GET, "/app/webhooks", "").await.is(401, INVALID_TOKEN);
}

#[tokio::test]
async fn an_app_never_sees_or_touches_the_webhooks_of_another() {
    let world = World::new();
    let uuid = world.create(r#"{"action":"mine"}"#).await.uuid();
    let path = format!("/app/webhooks/{uuid}");
    let other = format!("Bearer {}", world.token("other"));
    world.list_as(&other).await.is(200, "[]");
    for method in [Method::GET, Method::DELETE] {
        world.call_as(Some(&other), method, &path, "").await.is(404, NOT_FOUND);
    }
    assert_eq!(world.call(Method::GET, &path, "").await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_same_app_name_in_another_namespace_is_another_app() {
    let world = World::new();
    let listener = json!({"service": {"name": "shop", "port": 80}});
    world.runner.apply([app("team-b", "shop", json!({"listener": listener}))]);
    let uuid = world.create(r#"{"action":"mine"}"#).await.uuid();
    let token = world.tokens.issue(&Key::new("team-b", "shop"), "", NOW, Duration::from_secs(60));
    let other = format!("Bearer {token}");
    world.list_as(&other).await.is(200, "[]");
    let path = format!("/app/webhooks/{uuid}");
    world.call_as(Some(&other), Method::DELETE, &path, "").await.is(404, NOT_FOUND);
}

// ---- ServiceAccounts ----

#[tokio::test]
async fn a_service_account_acts_for_the_one_app_that_lists_it() {
    let world = World::new();
    let mine = world.create(r#"{"action":"test"}"#).await.body;
    world.list_as("Bearer sa:team-a:shop").await.is(200, &format!("[{mine}]"));
}

#[tokio::test]
async fn a_service_account_that_no_app_of_its_namespace_lists_has_no_access() {
    let world = World::new();
    for token in ["sa:team-a:nobody", "sa:team-b:shop"] {
        world.list_as(&format!("Bearer {token}")).await.is(401, INVALID_TOKEN);
    }
}

#[tokio::test]
async fn a_service_account_of_several_apps_names_the_one_it_acts_for() {
    let world = World::new();
    let mine = world.create(r#"{"action":"test"}"#).await.body;
    let list = async |account: &str, app: &str| {
        let request = Request::get("/app/webhooks")
            .header("authorization", format!("Bearer sa:team-a:{account}"))
            .header("Webhook-App-Uuid", app);
        world.send(request.body(Body::empty()).unwrap()).await
    };
    world.list_as("Bearer sa:team-a:both").await.fails(400, "ambiguous_app");
    list("both", APP).await.is(200, &format!("[{mine}]"));
    list("both", &OTHER_APP.to_uppercase()).await.is(200, "[]");
    list("both", DECLARED).await.fails(400, "ambiguous_app");
    list("both", "nonsense").await.fails(400, "ambiguous_app");
    list("shop", APP).await.is(200, &format!("[{mine}]"));
    list("shop", OTHER_APP).await.is(401, INVALID_TOKEN);
}

#[tokio::test]
async fn without_a_reviewer_only_the_operator_s_own_tokens_are_good() {
    let world = World::new();
    let api =
        AppApi::new(world.runner.clone(), world.store.clone(), world.tokens.clone(), None, || NOW);
    let world = World { router: router(api), ..world };
    world.list_as("Bearer sa:team-a:shop").await.is(401, INVALID_TOKEN);
    world.call(Method::GET, "/app/webhooks", "").await.is(200, "[]");
}

// ---- what fails behind it ----

#[tokio::test]
async fn when_the_cluster_cannot_be_asked_the_caller_may_try_again() {
    let world = World::new();
    let answer = world.list_as("Bearer sa:down").await;
    answer.fails(503, "unavailable");
    assert!(answer.headers.contains_key("retry-after"));
    assert!(!answer.body.contains("no route to host"));
}

#[tokio::test]
async fn when_the_store_fails_the_caller_may_try_again_and_is_not_told_why() {
    let world = World::new();
    let uuid = world.create(r#"{"action":"test"}"#).await.uuid();
    let unavailable = || Some(StoreError::Unavailable("/data is read-only".into()));
    for (method, path) in [
        (Method::POST, "/app/webhooks".to_owned()),
        (Method::DELETE, format!("/app/webhooks/{uuid}")),
    ] {
        *world.store.failure.lock().unwrap() = unavailable();
        let answer = world.call(method, &path, r#"{"action":"test"}"#).await;
        answer.fails(503, "unavailable");
        assert!(answer.headers.contains_key("retry-after"));
        assert!(!answer.body.contains("/data"));
    }
}

#[tokio::test]
async fn what_a_rule_of_the_resource_refuses_is_told() {
    let world = World::new();
    *world.store.failure.lock().unwrap() = Some(StoreError::Invalid("spec.x: too odd".into()));
    world
        .create(r#"{"action":"test"}"#)
        .await
        .is(400, r#"{"message":"spec.x: too odd","reason":"invalid_webhook","metadata":{}}"#);
}

#[tokio::test]
async fn many_webhooks_are_listed_in_time_that_grows_with_their_number() {
    let world = World::new();
    let many = |count: usize| {
        (0..count).map(|n| webhook(&format!("w{n}"), json!({"app": "shop", "action": "test"})))
    };
    let time = async || {
        let start = std::time::Instant::now();
        let list = world.call(Method::GET, "/app/webhooks", "").await;
        (list.body.matches("uuid").count(), start.elapsed())
    };
    world.runner.apply(many(1_000));
    let (few, short) = time().await.max(time().await);
    world.runner.apply(many(20_000));
    let (all, long) = time().await.min(time().await);
    assert_eq!((few, all), (1_000, 20_000));
    // 20 times as many: 400 times as long if it were quadratic.
    assert!(long < short * 100, "{short:?}, then {long:?}");
}
