//! The delivery API over a shelf, and somebody who calls it.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::{HeaderMap, Request};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use webhook_operator::admin::Guard;
use webhook_operator::admin::deliveries::router;
use webhook_operator::peers::Peers;
use webhook_operator::source::AccessReviewer;

use crate::shelf::Shelf;

pub struct World {
    pub shelf: Arc<Shelf>,
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

impl World {
    /// Outside a cluster.
    pub fn standalone() -> Self {
        Self::guarded(Guard::Loopback("127.0.0.1:9090".parse().unwrap()))
    }

    /// In a cluster.
    pub fn cluster(reviewer: Arc<dyn AccessReviewer>) -> Self {
        Self::guarded(Guard::Cluster(reviewer))
    }

    fn guarded(guard: Guard) -> Self {
        let shelf = Shelf::empty();
        Self {
            router: router(shelf.clone(), Arc::default(), guard, Arc::new(Peers::none())),
            shelf,
        }
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
