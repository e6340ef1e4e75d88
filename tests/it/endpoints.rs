//! From a trigger to one of the ready endpoints of the app's Service, over real sockets.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use webhook_operator::http::Networks;
use webhook_operator::plan::decide::ListenerPolicy;
use webhook_operator::plan::{AppInput, Change, Key, ServiceInput, SliceInput, WebhookInput};
use webhook_operator::source::PlanRunner;
use webhook_operator::trigger::Pipeline;

use crate::support::listener::{Behaviour, Listener};
use crate::support::operator::{APP, WEBHOOK};
use crate::support::pipeline;

/// An app whose listener is a Service, and the pipeline in front of it.
struct World {
    runner: PlanRunner,
    pipeline: Pipeline,
}

fn object<T: serde::de::DeserializeOwned>(name: &str, rest: Value) -> T {
    let mut object = json!({"metadata": {"name": name, "namespace": "team-a"}});
    object.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    serde_json::from_value(object).unwrap()
}

impl World {
    fn new(timeout: &str) -> Self {
        let listeners =
            ListenerPolicy { addresses: pipeline::loopback(), ..ListenerPolicy::default() };
        let (runner, pipeline) = pipeline::new(listeners, Networks::default());
        let listener = json!({"service": {"name": "shop", "port": "http"}, "timeout": timeout});
        let ports = json!([{"name": "http", "port": 80, "targetPort": "web"}]);
        runner.apply([
            Change::App(AppInput::of(&object(
                "shop",
                json!({"apiVersion": "lenra.io/v1alpha1", "kind": "WebhookApp", "spec": {"uuid": APP, "listener": listener}}),
            ))),
            Change::Webhook(WebhookInput::of(&object(
                "payments",
                json!({"apiVersion": "lenra.io/v1alpha1", "kind": "Webhook", "spec": {
                    "app": "shop", "action": "paid", "uuid": WEBHOOK, "delivery": {"mode": "Sync"},
                }}),
            ))),
            Change::Service(ServiceInput::of(&object(
                "shop",
                json!({"spec": {"selector": {"app": "shop"}, "ports": ports}}),
            ))),
            Change::ServiceSettled(Key::new("team-a", "shop")),
        ]);
        Self { runner, pipeline }
    }

    /// Makes these the endpoints, each in a slice of its own: ports differ.
    fn endpoints(&self, addresses: &[SocketAddr]) {
        let pod = json!({"kind": "Pod", "namespace": "team-a", "name": "shop-0"});
        self.endpoints_of(&pod, addresses);
    }

    /// Makes these the endpoints, of this `targetRef`.
    fn endpoints_of(&self, target: &Value, addresses: &[SocketAddr]) {
        let slice = |number: usize, address: Option<&SocketAddr>| {
            let endpoint =
                |address: &SocketAddr| json!({"addresses": [address.ip()], "targetRef": target});
            let endpoints = address.map(endpoint);
            let rest = json!({
                "addressType": "IPv4",
                "ports": [{"name": "http", "port": address.map_or(1, SocketAddr::port)}],
                "endpoints": endpoints.into_iter().collect::<Vec<_>>(),
            });
            let mut slice: k8s_openapi::api::discovery::v1::EndpointSlice =
                object(&format!("shop-{number}"), rest);
            let label = ("kubernetes.io/service-name".into(), "shop".into());
            slice.metadata.labels = Some([label].into());
            Change::Slice(SliceInput::of(&slice).unwrap())
        };
        self.runner.apply((0..4).map(|number| slice(number, addresses.get(number))));
    }

    async fn trigger(&self) -> Response<Full<Bytes>> {
        let request = Request::post(format!("/apps/{APP}/webhooks/{WEBHOOK}"));
        self.pipeline
            .handle(request.body(Full::new(Bytes::from_static(b"{}"))).unwrap(), None)
            .await
    }

    /// Triggers so often; counts the answers by status.
    async fn statuses(&self, count: usize) -> BTreeMap<u16, usize> {
        let mut statuses = BTreeMap::new();
        for _ in 0..count {
            *statuses.entry(self.trigger().await.status().as_u16()).or_default() += 1;
        }
        statuses
    }
}

fn address(listener: &Listener) -> SocketAddr {
    listener.url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap()
}

/// A port that nobody listens on.
fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A port on which connections neither come about nor are refused, as on a node that is gone.
fn silent() -> (SocketAddr, Socket, Vec<TcpStream>) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    // The queue of connections that wait to be accepted is filled until no more come about.
    let wait = Duration::from_millis(200);
    let filling = std::iter::from_fn(|| TcpStream::connect_timeout(&address, wait).ok());
    let waiting = filling.take(64).collect();
    (address, socket, waiting)
}

fn calls(listener: &Listener) -> usize {
    std::iter::from_fn(|| listener.try_call()).count()
}

#[tokio::test]
async fn every_ready_endpoint_gets_calls() {
    let (world, listeners) = (World::new("10s"), [(); 3].map(|()| Listener::start()));
    world.endpoints(&listeners.each_ref().map(address));
    assert_eq!(world.statuses(60).await, [(200, 60)].into());
    let counts = listeners.each_ref().map(calls);
    assert!(counts.iter().sum::<usize>() == 60 && counts.iter().all(|n| *n > 5), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_endpoint_with_fewer_calls_under_way_gets_the_next_one() {
    let (world, busy, idle) = (Arc::new(World::new("30s")), Listener::start(), Listener::start());
    let (go, told) = channel();
    busy.behave(Behaviour::Wait(Arc::new(std::sync::Mutex::new(told))));
    world.endpoints(&[address(&busy)]);
    let waiting = tokio::spawn({
        let world = world.clone();
        async move { world.trigger().await.status() }
    });
    busy.call();
    world.endpoints(&[address(&busy), address(&idle)]);
    assert_eq!(world.statuses(20).await, [(200, 20)].into());
    assert_eq!(calls(&idle), 20);
    go.send(()).unwrap();
    assert_eq!(waiting.await.unwrap(), 200);
}

#[tokio::test]
async fn a_refused_connection_is_no_failure_while_another_endpoint_takes_the_call() {
    let (world, listener) = (World::new("10s"), Listener::start());
    world.endpoints(&[closed(), address(&listener), closed()]);
    assert_eq!(world.statuses(30).await, [(200, 30)].into());
    world.endpoints(&[closed(), closed()]);
    assert_eq!(world.statuses(3).await, [(502, 3)].into());
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_leaves_time_for_another_and_is_then_passed_over() {
    let (world, listener, gone) = (World::new("2s"), Listener::start(), silent());
    world.endpoints(&[gone.0]);
    assert_eq!(world.statuses(1).await, [(504, 1)].into());
    world.endpoints(&[gone.0, address(&listener)]);
    let begun = Instant::now();
    assert_eq!(world.statuses(40).await, [(200, 40)].into());
    // By lot half of them would have met it, and each waited a second.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(calls(&listener), 40);
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_called_no_more_though_its_connections_are_open() {
    let (world, old, new) = (World::new("10s"), Listener::start(), Listener::start());
    world.endpoints(&[address(&old)]);
    assert_eq!(world.statuses(5).await, [(200, 5)].into());
    world.endpoints(&[address(&new)]);
    assert_eq!(world.statuses(5).await, [(200, 5)].into());
    assert_eq!((calls(&old), calls(&new)), (5, 5));
}

#[tokio::test]
async fn without_a_ready_endpoint_the_sender_is_told_when_to_come_back() {
    let world = World::new("10s");
    let answer = world.trigger().await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["retry-after"]),
        (503, &"5".parse().unwrap())
    );
    assert!(answer.headers().contains_key("webhook-event-id"));
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["reason"], "listener_unavailable");
    let listener = Listener::start();
    world.endpoints(&[address(&listener)]);
    assert_eq!(world.statuses(1).await, [(200, 1)].into());
}

#[tokio::test]
async fn an_endpoint_that_is_no_pod_of_the_namespace_gets_no_call() {
    let (world, own, victim) = (World::new("10s"), Listener::start(), Listener::start());
    let elsewhere = json!({"kind": "Pod", "namespace": "team-b", "name": "secrets-0"});
    for target in [json!(null), elsewhere] {
        world.endpoints_of(&target, &[address(&victim)]);
        assert_eq!(world.statuses(5).await, [(503, 5)].into(), "{target}");
    }
    world.endpoints(&[address(&own)]);
    assert_eq!(world.statuses(5).await, [(200, 5)].into());
    assert_eq!((calls(&own), calls(&victim)), (5, 0));
}

#[tokio::test]
async fn a_call_that_was_begun_is_not_made_again_elsewhere() {
    let (world, breaks, works) = (World::new("10s"), Listener::start(), Listener::start());
    breaks.behave(Behaviour::Reset);
    world.endpoints(&[address(&breaks), address(&works)]);
    let statuses = world.statuses(40).await;
    let (broken, taken) = (calls(&breaks), calls(&works));
    assert_eq!(statuses, [(200, taken), (502, broken)].into());
    assert_eq!(broken + taken, 40);
}
