//! The dispatcher over a store in memory and listeners that do as they are told. Time is the test's
//! own: it passes when nothing else can happen.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use strum::VariantArray as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;
use webhook_operator::delivery::dispatcher::{Dispatcher, Limits, Parts};
use webhook_operator::delivery::http1::ListenerRequest;
use webhook_operator::delivery::{
    ApiField, Call, CallError, ListenerResponse, Refusal, ResponseBody,
};
use webhook_operator::moment::Moment;
use webhook_operator::plan::Reachability;
use webhook_operator::resources::{Envelope, Ordering, Scheme};
use webhook_operator::retry::{Backoff, Policy};
use webhook_operator::routes::{
    App, AppId, Binding, Change, Delivery, Endpoints, ForwardedHeaders, Host, Id, NamedBy, Origin,
    Probes, Route, RouteState, Table, Target, Upstream,
};
use webhook_operator::store::{
    self, Content, DeadReason, Detail, Form, History as _, NewEvent, Queue as _, StoreError,
    Summary,
};

use crate::support::model_store::{LARGE_BODY_BYTES, ModelStore};

const SECOND: Duration = Duration::from_secs(1);

/// Of all apps of these tests.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long attempts have to end when the dispatcher stops.
const DRAIN: Duration = Duration::from_secs(30);

fn clock() -> Moment {
    // A runtime of a test has time of its own, and a thread of its own.
    thread_local! { static START: OnceCell<Instant> = const { OnceCell::new() } }
    let start = START.with(|start| *start.get_or_init(Instant::now));
    Moment(1_800_000_000_000 + Instant::now().duration_since(start).as_millis() as u64)
}

/// What listeners do with a call.
#[derive(Clone, Debug)]
enum Behaviour {
    Status(u16),
    /// Answers 200 after a while, which may be longer than it has.
    Slow(Duration),
    /// Answers 200 after a while, and nobody has noticed that the time was over.
    Late(Duration),
    /// 429 with `Retry-After`.
    Later(&'static str),
    Panic,
}

/// A call that came.
#[derive(Clone, Debug)]
struct Called {
    at: Instant,
    headers: HeaderMap,
    body: Bytes,
}

impl Called {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// All listeners.
#[derive(Clone)]
struct Listeners {
    behaviours: Arc<Mutex<HashMap<Uuid, Behaviour>>>,
    calls: mpsc::UnboundedSender<Called>,
    under_way: Arc<AtomicUsize>,
    most_under_way: Arc<AtomicUsize>,
}

impl Call for Listeners {
    async fn call(
        &self,
        _: &Upstream,
        request: ListenerRequest,
        limit: Duration,
        _: ResponseBody<'_>,
    ) -> Result<ListenerResponse, CallError> {
        let (headers, body) = (headers_of(request.head()), request.body().to_bytes());
        let app = headers["webhook-app-uuid"].to_str().unwrap().parse().unwrap();
        let behaviour = self.behaviours.lock().unwrap().get(&app).cloned();
        let _ = self.calls.send(Called { at: Instant::now(), headers, body });
        self.most_under_way.fetch_max(self.under_way.fetch_add(1, SeqCst) + 1, SeqCst);
        let answer = behave(behaviour.unwrap_or(Behaviour::Status(200)), limit).await;
        self.under_way.fetch_sub(1, SeqCst);
        answer.map(|status| ListenerResponse { status, kept: None })
    }
}

/// The headers in the head of a request.
fn headers_of(head: &[u8]) -> HeaderMap {
    let mut parsed = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut parsed);
    assert!(request.parse(head).unwrap().is_complete());
    let header = |header: &httparse::Header<'_>| {
        (header.name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(header.value).unwrap())
    };
    request.headers.iter().map(header).collect()
}

async fn behave(behaviour: Behaviour, limit: Duration) -> Result<StatusCode, CallError> {
    let refused = |status, retry_after| {
        let (status, body) = (StatusCode::from_u16(status).unwrap(), Bytes::from_static(b"why"));
        Err(CallError::Refused(Box::new(Refusal { status, retry_after, body })))
    };
    match behaviour {
        Behaviour::Status(status @ 200..=299) => Ok(StatusCode::from_u16(status).unwrap()),
        Behaviour::Status(status) => refused(status, None),
        Behaviour::Later(when) => refused(429, Some(HeaderValue::from_static(when))),
        Behaviour::Slow(time) => match timeout(limit, sleep(time)).await {
            Ok(()) => Ok(StatusCode::OK),
            Err(_) => Err(CallError::Timeout(limit)),
        },
        Behaviour::Late(time) => {
            sleep(time).await;
            Ok(StatusCode::OK)
        }
        Behaviour::Panic => panic!("as it was told"),
    }
}

/// A dispatcher and everything around it.
struct World {
    store: Arc<ModelStore>,
    routes: Arc<Table>,
    changes: watch::Sender<u64>,
    listeners: Listeners,
    calls: mpsc::UnboundedReceiver<Called>,
    told: Arc<Mutex<Vec<Reachability>>>,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl World {
    fn new() -> Self {
        Self::over(ModelStore::default())
    }

    fn over(store: ModelStore) -> Self {
        let (store, routes) = (Arc::new(store), Arc::new(Table::default()));
        let (changes, stop) = (watch::channel(0).0, watch::channel(false).0);
        let (sender, calls) = mpsc::unbounded_channel();
        let (behaviours, under_way, most_under_way) = Default::default();
        let listeners = Listeners { behaviours, calls: sender, under_way, most_under_way };
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = told.clone();
        let dispatcher = Dispatcher::new(Parts {
            queue: store.clone(),
            routes: routes.clone(),
            changes: changes.subscribe(),
            caller: listeners.clone(),
            api: Box::new(|_| ApiField::new("http://api", "token")),
            tell: Box::new(move |_, told| tell.lock().unwrap().push(told)),
            traces: Default::default(),
            clock,
            limits: Limits::default(),
            drain: DRAIN,
        });
        let running = tokio::spawn(dispatcher.run(stop.subscribe()));
        Self { store, routes, changes, listeners, calls, told, stop, running }
    }

    /// Makes an app be so.
    fn set_app(&self, app: App) -> Arc<App> {
        let app = Arc::new(app);
        self.routes.apply_apps([(app.uuid, Some(app.clone()))]);
        self.changes.send_modify(|version| *version += 1);
        app
    }

    fn delete_app(&self, app: &App) {
        self.routes.apply_apps([(app.uuid, None)]);
        self.changes.send_modify(|version| *version += 1);
    }

    /// Makes a webhook be so.
    fn set_webhook(&self, route: Route) -> Arc<Route> {
        let (route, id) = (Arc::new(route), Id { app: APP, webhook: WEBHOOK });
        self.routes.apply([Change::Apply(Id { app: route.app.uuid, ..id }, route.clone())]);
        route
    }

    fn behave(&self, app: Uuid, behaviour: Behaviour) {
        self.listeners.behaviours.lock().unwrap().insert(app, behaviour);
    }

    async fn trigger(&self, route: &Arc<Route>, body: &str) -> Uuid {
        let content = Content {
            form: Form::Json,
            content_type: Some(HeaderValue::from_static("application/json")),
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        };
        self.store_event(route, content).await
    }

    async fn store_event(&self, route: &Arc<Route>, content: Content) -> Uuid {
        let now = clock();
        let id = self.store.ids().next(now);
        let (route, duplicate, is_refused) = (route.clone(), None, false);
        let event = NewEvent { id, route, content, duplicate, is_refused, now };
        self.store.accept(event).await.unwrap();
        id
    }

    async fn call(&mut self) -> Called {
        let patience = Duration::from_secs(24 * 60 * 60);
        timeout(patience, self.calls.recv()).await.expect("a call").expect("a listener")
    }

    async fn calls(&mut self, count: usize) -> Vec<Called> {
        let mut calls = Vec::new();
        while calls.len() < count {
            calls.push(self.call().await);
        }
        calls
    }

    /// The numbers of calls that have come and that nobody has asked for.
    fn calls_so_far(&mut self) -> usize {
        std::iter::from_fn(|| self.calls.try_recv().ok()).count()
    }

    async fn detail(&self, id: Uuid) -> Detail {
        self.store.show(id).await.unwrap().expect("a delivery")
    }

    async fn summary(&self, id: Uuid) -> Summary {
        self.detail(id).await.summary
    }

    /// The delivery, once it has ended.
    async fn ended(&self, id: Uuid) -> Detail {
        for _ in 0..1_000_000 {
            let detail = self.detail(id).await;
            if detail.summary.finished.is_some() {
                return detail;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("it does not end: {:?}", self.detail(id).await)
    }

    fn told(&self) -> Vec<Reachability> {
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

const APP: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);
const WEBHOOK: Uuid = Uuid::from_u128(10);

/// An app that tries again after a second, as often as it takes.
fn app(uuid: Uuid) -> App {
    let retry = Policy {
        backoff: Backoff::Schedule([SECOND].into()),
        jitter: 0.0,
        max_attempts: 1000,
        max_age: None,
    };
    let host = Host::Address([127, 0, 0, 1].into());
    let server_name = "shop".into();
    let origin =
        Origin { scheme: Scheme::Http, host, port: 80, server_name, named_by: NamedBy::Service };
    App {
        id: AppId::new("team-a", uuid),
        uuid,
        namespace: "team-a".into(),
        name: "shop".into(),
        instance: "".into(),
        target: Some(target(Upstream::Origin(Arc::new(origin)))),
        envelope: Envelope::Action,
        timeout: TIMEOUT,
        concurrency: 4,
        retry: Arc::new(retry),
        load: Arc::default(),
    }
}

fn target(upstream: Upstream) -> Target {
    let authority = HeaderValue::from_static("shop");
    Target { upstream, authority, path: "/".parse().unwrap() }
}

fn webhook(app: &Arc<App>, ordering: Ordering) -> Route {
    let delivery = Delivery { ordering, ..Delivery::default() };
    Route {
        webhook: WEBHOOK,
        app: app.clone(),
        name: "payments".into(),
        state: RouteState::Serving,
        binding: Arc::new(Binding {
            action: "pay".into(),
            props: Bytes::from_static(b"{\"of\":1}"),
            max_body_bytes: 1 << 20,
            forward_headers: ForwardedHeaders::default(),
            forward_query: false,
            probes: Probes::default(),
            response: None,
            body: webhook_operator::event::BodyRule::Auto,
            delivery,
            transform: None,
            guards: None,
        }),
        proof: None,
    }
}

/// A world with one app and one webhook.
fn world(app: App, ordering: Ordering) -> (World, Arc<Route>) {
    let world = World::new();
    let app = world.set_app(app);
    let route = world.set_webhook(webhook(&app, ordering));
    (world, route)
}

#[tokio::test(start_paused = true)]
async fn an_event_reaches_the_listener_as_the_webhook_says_now() {
    let (mut world, route) = world(app(APP), Ordering::Parallel);
    let binding = Binding {
        action: "pay-more".into(),
        props: Bytes::from_static(b"{\"of\":2}"),
        ..(*route.binding).clone()
    };
    world.set_webhook(Route {
        binding: Arc::new(binding),
        ..webhook(&route.app, Ordering::Parallel)
    });
    let id = world.trigger(&route, "[1.0]").await;
    let call = world.call().await;
    assert_eq!(
        call.json(),
        serde_json::json!({"action": "pay-more", "props": {"of": 2}, "event": {"_json": [1.0]},
            "api": {"url": "http://api", "token": "token"}})
    );
    assert_eq!(call.header("webhook-event-id"), id.to_string());
    assert_eq!(call.header("webhook-uuid"), WEBHOOK.to_string());
    assert_eq!(call.header("webhook-action"), "pay-more");
    assert_eq!(call.header("webhook-attempt"), "1");
    let detail = world.ended(id).await;
    assert_eq!(detail.summary.state, store::DeliveryState::Succeeded);
    assert_eq!(detail.attempts[0].status, Some(200));
    assert_eq!(world.told(), [Reachability::Reachable]);
}

#[tokio::test(start_paused = true)]
async fn what_a_webhook_has_accepted_is_delivered_when_it_is_gone() {
    let world = World::new();
    let mut world = world;
    let app = world.set_app(app(APP));
    let route = Arc::new(webhook(&app, Ordering::Parallel));
    world.trigger(&route, "{}").await;
    let call = world.call().await;
    assert_eq!((&call.json()["action"], &call.json()["props"]["of"]), (&"pay".into(), &1.into()));
}

#[tokio::test(start_paused = true)]
async fn other_bodies_become_events_by_their_content_type() {
    let (mut world, route) = world(app(APP), Ordering::Parallel);
    let content_type = Some(HeaderValue::from_static("application/x-www-form-urlencoded"));
    let mut headers = HeaderMap::new();
    headers.insert("x-github-event", HeaderValue::from_static("push"));
    headers.insert("traceparent", HeaderValue::from_static(TRACE));
    let body = Bytes::from_static(b"a=b");
    let content = Content { form: Form::Converted, content_type, headers, body };
    world.store_event(&route, content).await;
    let call = world.call().await;
    assert_eq!(call.json()["event"], serde_json::json!({"a": "b"}));
    assert_eq!(call.header("x-github-event"), "push");
    assert_eq!(call.header("content-type"), "application/json");
    assert_eq!(call.header("traceparent")[..36], TRACE[..36]);
}

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test(start_paused = true)]
async fn a_large_body_is_read_when_it_is_needed() {
    let (mut world, route) = world(app(APP), Ordering::Parallel);
    let text = "x".repeat(LARGE_BODY_BYTES);
    world.trigger(&route, &format!("\"{text}\"")).await;
    assert_eq!(world.call().await.json()["event"]["_json"], text);
}

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_is_made_again_after_the_wait_of_the_policy() {
    let policy = Policy {
        backoff: Backoff::Schedule([5 * SECOND, 60 * SECOND].into()),
        jitter: 0.0,
        max_attempts: 3,
        max_age: None,
    };
    let (mut world, route) = world(App { retry: policy.into(), ..app(APP) }, Ordering::Parallel);
    world.behave(APP, Behaviour::Status(503));
    let id = world.trigger(&route, "{}").await;
    let calls = world.calls(3).await;
    let waits = [calls[1].at - calls[0].at, calls[2].at - calls[1].at];
    let is_about = |wait: Duration, seconds: u128| wait.as_millis().abs_diff(1000 * seconds) <= 2;
    assert!(is_about(waits[0], 5) && is_about(waits[1], 60), "{waits:?}");
    assert_eq!(calls[2].header("webhook-attempt"), "3");
    let detail = world.ended(id).await;
    assert_eq!(detail.summary.reason, Some(DeadReason::AttemptsUsedUp));
    let attempt = &detail.attempts[2];
    assert_eq!((attempt.number, attempt.status), (3, Some(503)));
    assert_eq!(attempt.answer, "why");
    assert!(attempt.error.as_ref().unwrap().contains("503"), "{attempt:?}");
}

#[tokio::test(start_paused = true)]
async fn a_webhooks_own_policy_comes_before_its_apps_even_when_the_webhook_is_gone() {
    let mut world = World::new();
    let app = world.set_app(app(APP));
    world.behave(APP, Behaviour::Status(500));
    let mut route = webhook(&app, Ordering::Parallel);
    let once = Policy { max_attempts: 1, ..Policy::default() };
    let mut binding = (*route.binding).clone();
    binding.delivery.retry = Some(Arc::new(once));
    route.binding = Arc::new(binding);
    let id = world.trigger(&Arc::new(route), "{}").await;
    world.call().await;
    assert_eq!(world.ended(id).await.summary.reason, Some(DeadReason::AttemptsUsedUp));
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_asks_for_time_gets_it() {
    let (mut world, route) = world(app(APP), Ordering::Parallel);
    world.behave(APP, Behaviour::Later("120"));
    world.trigger(&route, "{}").await;
    let calls = world.calls(2).await;
    assert_eq!((calls[1].at - calls[0].at).as_secs(), 120);
}

#[tokio::test(start_paused = true)]
async fn what_the_listener_rejects_is_dead_at_once() {
    let (mut world, route) = world(app(APP), Ordering::Parallel);
    world.behave(APP, Behaviour::Status(404));
    let id = world.trigger(&route, "{}").await;
    world.call().await;
    assert_eq!(world.ended(id).await.summary.reason, Some(DeadReason::Rejected));
    assert_eq!(world.told(), [Reachability::Reachable], "it is up, whatever it says");
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_is_down_is_probed_and_what_waits_uses_no_attempts() {
    let (mut world, route) = world(app(APP), Ordering::Parallel);
    world.behave(APP, Behaviour::Status(503));
    let mut ids = Vec::new();
    for _ in 0..100 {
        ids.push(world.trigger(&route, "{}").await);
    }
    let began = Instant::now();
    sleep(600 * SECOND).await;
    // Ten and those under way beside them, then at 1 s, 2 s, 4 s, ... and each minute; the waits are
    // up to half as long.
    let calls = world.calls_so_far();
    assert!((10 + 9..=13 + 26).contains(&calls), "{calls} calls in {:?}", began.elapsed());
    let told = world.told();
    assert!(matches!(told[..], [Reachability::Unreachable { failures: 10, .. }]), "{told:?}");
    let mut untouched = 0;
    for id in &ids {
        untouched += usize::from(world.summary(*id).await.attempts == 0);
    }
    assert!(untouched >= 100 - calls, "{untouched}");
    // It comes back, and takes a second for each.
    world.behave(APP, Behaviour::Slow(SECOND));
    world.listeners.most_under_way.store(0, SeqCst);
    let calls = world.calls(12).await;
    let mut in_second = [0; 5];
    for call in &calls {
        in_second[(call.at - calls[0].at + SECOND / 2).as_secs() as usize] += 1;
    }
    assert_eq!(in_second, [1, 1, 2, 4, 4], "twice as many, up to the app's concurrency");
    for id in &ids {
        assert_eq!(world.ended(*id).await.summary.state, store::DeliveryState::Succeeded);
    }
    assert_eq!(world.listeners.most_under_way.load(SeqCst), 4);
    assert_eq!(world.told(), [Reachability::Reachable]);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_app_or_of_its_endpoints_is_tried_at_once() {
    let endpoints = Arc::new(Endpoints::default());
    let upstream = Upstream::Endpoints(endpoints.clone());
    let app = || App { target: Some(target(upstream.clone())), concurrency: 1, ..app(APP) };
    let (mut world, route) = world(app(), Ordering::Parallel);
    world.behave(APP, Behaviour::Status(503));
    for _ in 0..20 {
        world.trigger(&route, "{}").await;
    }
    sleep(3600 * SECOND).await;
    world.calls_so_far();
    let last = world.call().await.at;
    let waits = |call: &Called, since: Instant| (call.at - since).as_millis();
    // A probe is half a minute away at least.
    sleep(SECOND).await;
    let now = Instant::now();
    world.set_app(app());
    let call = world.call().await;
    assert!(waits(&call, now) <= 1, "{:?}", call.at - last);
    sleep(SECOND).await;
    world.calls_so_far();
    let now = Instant::now();
    let host = Host::Address([192, 0, 2, 1].into());
    let server_name = "shop".into();
    endpoints.set(vec![Origin {
        scheme: Scheme::Http,
        host,
        port: 80,
        server_name,
        named_by: NamedBy::Service,
    }]);
    world.changes.send_modify(|version| *version += 1);
    assert!(waits(&world.call().await, now) <= 1);
    // What changes elsewhere is no reason.
    sleep(10 * SECOND).await;
    world.calls_so_far();
    world.changes.send_modify(|version| *version += 1);
    sleep(Duration::from_millis(500)).await;
    assert!(world.calls_so_far() <= 1);
}

#[tokio::test(start_paused = true)]
async fn what_an_app_has_that_is_not_ready_waits_without_attempts() {
    let (mut world, route) = world(App { target: None, ..app(APP) }, Ordering::Parallel);
    let id = world.trigger(&route, "{}").await;
    sleep(3600 * SECOND).await;
    assert_eq!((world.calls_so_far(), world.summary(id).await.attempts), (0, 0));
    world.set_app(app(APP));
    world.call().await;
    assert_eq!(world.ended(id).await.summary.attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn what_an_app_had_is_given_up_an_hour_after_it_was_deleted() {
    let (mut world, route) = world(App { target: None, ..app(APP) }, Ordering::Fifo);
    let ids = [world.trigger(&route, "{}").await, world.trigger(&route, "{}").await];
    sleep(SECOND).await;
    world.delete_app(&route.app);
    sleep(3599 * SECOND).await;
    assert_eq!(world.summary(ids[0]).await.state, store::DeliveryState::Pending);
    for id in ids {
        assert_eq!(world.ended(id).await.summary.reason, Some(DeadReason::AppDeleted));
    }
    assert_eq!(world.calls_so_far(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_an_app_had_is_delivered_when_it_returns_within_the_grace() {
    let (mut world, route) = world(App { target: None, ..app(APP) }, Ordering::Parallel);
    let id = world.trigger(&route, "{}").await;
    sleep(SECOND).await;
    for _ in 0..3 {
        world.delete_app(&route.app);
        sleep(3000 * SECOND).await;
        world.set_app(App { target: None, ..app(APP) });
        sleep(SECOND).await;
    }
    assert_eq!(world.summary(id).await.state, store::DeliveryState::Pending);
    world.set_app(app(APP));
    world.call().await;
    assert_eq!(world.ended(id).await.summary.state, store::DeliveryState::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn what_an_app_had_never_reaches_an_app_of_another_namespace_with_the_same_uuid() {
    let (mut world, route) = world(App { target: None, ..app(APP) }, Ordering::Parallel);
    let id = world.trigger(&route, "{}").await;
    world.delete_app(&route.app);
    let foreign = App {
        id: AppId::new("team-b", APP),
        namespace: "team-b".into(),
        name: "other".into(),
        ..app(APP)
    };
    let foreign = world.set_app(foreign);
    let other = Arc::new(webhook(&foreign, Ordering::Parallel));
    world.trigger(&other, r#"{"of":"team-b"}"#).await;
    let call = world.call().await;
    assert_eq!(call.json()["event"]["of"], "team-b");
    assert_eq!(world.summary(id).await.state, store::DeliveryState::Pending);
    let detail = world.ended(id).await;
    assert_eq!(detail.summary.reason, Some(DeadReason::AppDeleted));
    assert_eq!(&*detail.summary.webhook.namespace, "team-a");
    assert_eq!(world.calls_so_far(), 0);
}

#[tokio::test(start_paused = true)]
async fn in_order_means_that_the_next_waits_until_the_one_before_has_ended() {
    let (mut world, route) = world(app(APP), Ordering::Fifo);
    world.behave(APP, Behaviour::Status(409));
    for number in 0..5 {
        world.trigger(&route, &number.to_string()).await;
    }
    let event = |call: &Called| call.json()["event"]["_json"].as_u64().unwrap();
    for _ in 0..5 {
        assert_eq!(event(&world.call().await), 0);
    }
    world.behave(APP, Behaviour::Slow(SECOND));
    let rest: Vec<_> = world.calls(5).await.iter().map(event).collect();
    assert_eq!(rest, [0, 1, 2, 3, 4]);
    assert_eq!(world.listeners.most_under_way.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_cannot_be_recorded_is_recorded_later_and_not_made_again() {
    let (mut world, route) = world(app(APP), Ordering::Parallel);
    world.store.refuse_to_settle([StoreError::Busy, StoreError::Full, StoreError::Full]);
    let id = world.trigger(&route, "{}").await;
    let detail = world.ended(id).await;
    assert_eq!((detail.summary.state, detail.attempts.len()), (store::DeliveryState::Succeeded, 1));
    sleep(3600 * SECOND).await;
    assert_eq!(world.calls_so_far(), 1);
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_the_store_has_failed() {
    let (world, route) = world(app(APP), Ordering::Parallel);
    world.store.refuse_to_settle([StoreError::Failed("no disk".into())]);
    world.trigger(&route, "{}").await;
    timeout(SECOND, world.running).await.expect("an end").unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_after_the_lease_does_not_overwrite_a_later_attempt() {
    let (mut world, route) = world(app(APP), Ordering::Parallel);
    world.behave(APP, Behaviour::Late(60 * SECOND));
    let id = world.trigger(&route, "{}").await;
    let first = world.call().await;
    sleep(45 * SECOND).await;
    // The lease, of ten seconds and thirty, has ended: with the next event it is taken anew.
    world.behave(APP, Behaviour::Status(404));
    let next = world.trigger(&route, "{}").await;
    let calls = world.calls(2).await;
    let again: Vec<_> = calls.iter().map(|call| call.header("webhook-event-id")).collect();
    assert!(again.contains(&&*id.to_string()) && again.contains(&&*next.to_string()));
    assert_eq!(world.ended(id).await.summary.state, store::DeliveryState::Dead);
    sleep(60 * SECOND).await;
    let detail = world.detail(id).await;
    assert_eq!((detail.summary.state, detail.attempts.len()), (store::DeliveryState::Dead, 1));
    assert_eq!(first.header("webhook-attempt"), "1");
    // Two deliveries ended, each once.
    let counts = world.routes.meters().unwrap().webhooks.of(route.id());
    assert_eq!(counts.succeeded(), 0);
    assert_eq!(counts.dead().counted().collect::<Vec<_>>(), [("rejected", 2)]);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_panics_is_made_again_when_its_lease_has_ended() {
    let (mut world, route) = world(App { concurrency: 1, ..app(APP) }, Ordering::Parallel);
    world.behave(APP, Behaviour::Panic);
    let id = world.trigger(&route, "{}").await;
    let first = world.call().await;
    world.behave(APP, Behaviour::Status(200));
    let second = world.call().await;
    assert_eq!((second.at - first.at).as_secs(), (TIMEOUT + 30 * SECOND).as_secs());
    assert_eq!(world.ended(id).await.summary.state, store::DeliveryState::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn an_app_that_is_slow_or_flooded_does_not_delay_another() {
    let (mut world, slow) = world(app(APP), Ordering::Parallel);
    let other = world.set_app(app(OTHER));
    let other = world.set_webhook(webhook(&other, Ordering::Parallel));
    world.behave(APP, Behaviour::Slow(9 * SECOND));
    for _ in 0..1000 {
        world.trigger(&slow, "{}").await;
    }
    world.calls(4).await;
    for _ in 0..100 {
        let now = Instant::now();
        let id = world.trigger(&other, "{}").await;
        let call = loop {
            let call = world.call().await;
            if call.header("webhook-event-id") == id.to_string() {
                break call;
            }
        };
        assert!(call.at - now <= Duration::from_millis(2), "{:?}", call.at - now);
        sleep(SECOND / 10).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_what_is_under_way_end_and_begins_nothing() {
    let (mut world, route) = world(App { concurrency: 1, ..app(APP) }, Ordering::Parallel);
    world.behave(APP, Behaviour::Slow(5 * SECOND));
    let (first, second) = (world.trigger(&route, "{}").await, world.trigger(&route, "{}").await);
    world.call().await;
    world.stop.send_replace(true);
    let now = Instant::now();
    (&mut world.running).await.unwrap();
    assert_eq!(now.elapsed().as_secs(), 5);
    assert_eq!(world.summary(first).await.state, store::DeliveryState::Succeeded);
    assert_eq!(world.summary(second).await.attempts, 0);
    assert_eq!(world.calls_so_far(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_leased_when_it_stops_and_was_not_begun_is_left() {
    let (mut world, route) = world(app(APP), Ordering::Parallel);
    world.store.slow_to_take(SECOND);
    let id = world.trigger(&route, "{}").await;
    sleep(SECOND / 2).await;
    world.stop.send_replace(true);
    (&mut world.running).await.unwrap();
    assert_eq!((world.calls_so_far(), world.summary(id).await.attempts), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_takes_longer_than_the_drain_is_cut_off_and_made_again_after_the_start() {
    let (mut world, route) = world(App { timeout: 300 * SECOND, ..app(APP) }, Ordering::Parallel);
    world.behave(APP, Behaviour::Slow(299 * SECOND));
    let id = world.trigger(&route, "{}").await;
    world.call().await;
    world.stop.send_replace(true);
    let now = Instant::now();
    (&mut world.running).await.unwrap();
    assert_eq!(now.elapsed(), DRAIN);
    sleep(600 * SECOND).await;
    let summary = world.summary(id).await;
    assert_eq!((summary.state, summary.attempts), (store::DeliveryState::Pending, 0));
}

#[test]
fn the_metric_labels_of_dead_reasons_are_those_of_dashboards() {
    let labels: Vec<_> = DeadReason::VARIANTS.iter().map(|reason| reason.label()).collect();
    let expected = [
        "attempts_used_up",
        "too_old",
        "rejected",
        "app_deleted",
        "unreadable",
        "transform_failed",
    ];
    assert_eq!(labels, expected);
}
