//! The delivery API over a shelf, and somebody who calls it.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::{HeaderMap, Request};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use uuid::Uuid;
use webhook_operator::admin::{Guard, deliveries, overview};
use webhook_operator::peers::Peers;
use webhook_operator::plan::address::AddressPolicy;
use webhook_operator::plan::decide::ListenerPolicy;
use webhook_operator::plan::identity::IdentityKey;
use webhook_operator::plan::{AppInput, Change, Reach, Settings, WebhookInput};
use webhook_operator::source::{AccessReviewer, PlanRunner};

use super::shelf::Shelf;

pub struct World {
    pub shelf: Arc<Shelf>,
    pub runner: Arc<PlanRunner>,
    router: Router,
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }

    /// The answer of a success.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.body);
        assert_eq!(self.headers["content-type"], "application/json");
        self.value()
    }

    /// An error of the common form.
    #[track_caller]
    pub fn fails(&self, status: u16, reason: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        let value = self.value();
        assert_eq!((&value["reason"], &value["metadata"]), (&json!(reason), &json!({})));
        assert!(value["message"].as_str().is_some_and(|message| !message.is_empty()));
    }

    /// The ids of a list.
    #[track_caller]
    pub fn ids(&self) -> Vec<String> {
        let items = self.ok()["items"].as_array().expect("items").clone();
        items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
    }
}

/// The guard outside a cluster.
pub fn loopback() -> Guard {
    Guard::Loopback("127.0.0.1:9090".parse().unwrap())
}

fn runner() -> PlanRunner {
    let listeners = ListenerPolicy {
        allow_url: true,
        addresses: AddressPolicy::default(),
        reach: Reach::Address,
        ..ListenerPolicy::default()
    };
    let settings = Settings {
        external_url: "https://hooks.example.com".into(),
        listeners,
        identity: IdentityKey::new(&[7; 32]).unwrap(),
        key_sets: Arc::default(),
    };
    PlanRunner::new(settings, Arc::default())
}

fn object(kind: &str, name: &str, spec: Value) -> Value {
    let (namespace, name) = name.split_once('/').expect("namespace/name");
    let metadata = json!({"namespace": namespace, "name": name});
    json!({"apiVersion": "lenra.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
}

impl World {
    /// Outside a cluster.
    pub fn standalone() -> Self {
        Self::replica(Shelf::empty(), loopback(), Peers::none())
    }

    /// In a cluster.
    pub fn cluster(reviewer: Arc<dyn AccessReviewer>) -> Self {
        Self::replica(Shelf::empty(), Guard::Cluster(reviewer), Peers::none())
    }

    /// One of several replicas, which is told of these peers.
    pub fn replica(shelf: Arc<Shelf>, guard: Guard, peers: Peers) -> Self {
        let (runner, peers) = (Arc::new(runner()), Arc::new(peers));
        let routes = runner.routes().clone();
        let router = deliveries::router(shelf.clone(), routes, guard.clone(), peers.clone())
            .merge(overview::router(runner.clone(), shelf.clone(), guard, peers));
        Self { shelf, runner, router }
    }

    /// Adds `namespace/name`, an app with this UUID and this listener.
    pub fn add_app(&self, app: &str, uuid: u128, listener: &str) {
        let spec = json!({"uuid": Uuid::from_u128(uuid), "listener": {"url": listener}});
        let app = serde_json::from_value(object("WebhookApp", app, spec)).unwrap();
        self.runner.apply([Change::App(AppInput::of(&app))]);
    }

    /// Adds `namespace/name`, a webhook of an app; its UUID is that of the shelf's events.
    pub fn add_webhook(&self, webhook: &str, app: &str, mut spec: Value) {
        spec["app"] = json!(app);
        spec["action"] = json!("pay");
        let webhook = serde_json::from_value(object("Webhook", webhook, spec)).unwrap();
        self.runner.apply([Change::Webhook(WebhookInput::of(&webhook))]);
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], "").await
    }

    pub async fn post(&self, path: &str, body: &str) -> Answer {
        self.call("POST", path, &[("content-type", "application/json")], body).await
    }

    /// As somebody of the cluster.
    pub async fn call_as(&self, token: &str, method: &str, path: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", &*bearer), ("content-type", "application/json")];
        self.call(method, path, &headers, body).await
    }

    /// From this machine, to the address of the port.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let loopback: IpAddr = [127, 0, 0, 1].into();
        let mut request = Request::builder().method(method).uri(path).extension(Some(loopback));
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "127.0.0.1:9090");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }
}
