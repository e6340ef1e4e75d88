//! Several replicas, each asked for what all of them have. What people call is plain HTTP here, what replicas call
//! is TLS, as `run` serves it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::{Extension, Router};
use http::HeaderValue;
use hyper::body::Incoming;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;
use uuid::Uuid;
use webhook_operator::admin::Guard;
use webhook_operator::admin::deliveries::{peer_router, router};
use webhook_operator::http::{Acceptor, Drain, Limits, Peer, phases};
use webhook_operator::peers::{Credentials, Name, Peers};
use webhook_operator::plan::identity::IdentityKey;
use webhook_operator::source::Verb;
use webhook_operator::store::DeliveryState;

use super::access::Cluster;
use super::shelf::Shelf;
use crate::support::http::{Response, request};

/// A replica at work.
pub struct Replica {
    shelf: Arc<Shelf>,
    url: String,
    /// Where other replicas call it.
    pub peer: SocketAddr,
    /// How many requests it got.
    asked: Arc<AtomicUsize>,
    serving: [JoinHandle<()>; 2],
    _stop: watch::Sender<bool>,
}

/// The credentials that an identity key of such bytes gives.
pub fn credentials(identity: u8) -> Credentials {
    Credentials::new(&IdentityKey::new(&[identity; 32]).unwrap()).unwrap()
}

/// Replicas that know of each other, named `operator-0` and so on.
struct Replicas {
    cluster: Arc<Cluster>,
    all: Vec<Replica>,
}

impl Replicas {
    async fn start(count: usize) -> Self {
        let cluster = Arc::new(Cluster::default());
        for verb in [Verb::List, Verb::Get, Verb::Create] {
            cluster.grant("admin", verb, None, None);
            cluster.grant("jane", verb, Some("team-a"), None);
        }
        let mut ports = Vec::new();
        for _ in 0..count {
            ports.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
        }
        let names = ports.iter().map(|port| port.local_addr().unwrap().to_string());
        let names: Vec<Name> = names.map(|name| name.parse().unwrap()).collect();
        let replicas = ports.into_iter().enumerate().map(|(number, port)| {
            let me = HeaderValue::try_from(format!("operator-{number}_{number}")).unwrap();
            (port, Peers::new(names.clone(), me, credentials(7)))
        });
        let mut all = Vec::new();
        for (port, peers) in replicas {
            all.push(Replica::start(port, Guard::Cluster(cluster.clone()), peers).await);
        }
        Self { all, cluster }
    }

    /// Adds deliveries, one replica after the other; as a list has them.
    fn add(&self, webhook: &str, state: DeliveryState, count: usize) -> Vec<Uuid> {
        let replicas = self.all.iter().cycle().take(count);
        let mut ids: Vec<_> = replicas.map(|replica| replica.shelf.add(webhook, state)).collect();
        ids.sort();
        ids.reverse();
        ids
    }

    /// Ends one, as a crash does.
    async fn end(&mut self, number: usize) {
        for serving in &mut self.all[number].serving {
            serving.abort();
            assert!(serving.await.unwrap_err().is_cancelled());
        }
    }

    fn requests(&self) -> Vec<usize> {
        self.all.iter().map(Replica::requests).collect()
    }
}

impl Replica {
    /// One whose peer port this is, named by what it is to call itself.
    pub async fn start(peer: TcpListener, guard: Guard, peers: Peers) -> Self {
        let (shelf, asked, peers) =
            (Shelf::empty(), Arc::new(AtomicUsize::new(0)), Arc::new(peers));
        let api = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, peer_address) = (api.local_addr().unwrap(), peer.local_addr().unwrap());
        let (counter, loopback) = (asked.clone(), Some(address.ip()));
        let count = from_fn(move |request: Request, next: Next| {
            counter.fetch_add(1, Ordering::Relaxed);
            next.run(request)
        });
        let routes = router(shelf.clone(), Arc::default(), guard.clone(), peers.clone());
        let routes = routes.layer(count.clone()).layer(Extension::<Option<IpAddr>>(loopback));
        let for_peers = peer_router(shelf.clone(), Arc::default(), guard, peers.clone());
        let (stop, stopped) = watch::channel(false);
        let serving = [
            tokio::spawn(async { axum::serve(api, routes).await.unwrap() }),
            tokio::spawn(serve_peers(peer, for_peers.layer(count), peers, stopped)),
        ];
        let url = format!("http://{address}");
        Self { shelf, url, peer: peer_address, asked, serving, _stop: stop }
    }

    /// How many requests it got.
    pub fn requests(&self) -> usize {
        self.asked.swap(0, Ordering::Relaxed)
    }

    pub async fn call(
        &self,
        token: &str,
        method: &'static str,
        path: &str,
        body: &str,
    ) -> Response {
        let bearer = format!("Bearer {token}");
        let (url, body) = (format!("{}{path}", self.url), body.to_owned());
        let call = move || {
            let headers = [("Authorization", &*bearer), ("Content-Type", "application/json")];
            request(method, &url, &headers, body.as_bytes())
        };
        tokio::task::spawn_blocking(call).await.unwrap()
    }

    async fn get(&self, path: &str) -> Response {
        self.call("admin", "GET", path, "").await
    }

    async fn post(&self, path: &str, body: &str) -> Response {
        self.call("admin", "POST", path, body).await
    }
}

/// The peer port, as the program serves it.
async fn serve_peers(
    port: TcpListener,
    router: Router,
    peers: Arc<Peers>,
    stopped: watch::Receiver<bool>,
) {
    let service = move |request: http::Request<Incoming>, _: Peer| {
        let router = router.clone();
        async move { router.oneshot(request.map(Body::new)).await.unwrap() }
    };
    let drain = Drain::new(phases(stopped, Duration::ZERO));
    let limits = Arc::new(Limits::default());
    Acceptor::new(limits, peers.server_tls(), Arc::default()).run(port, service, drain).await;
}

#[track_caller]
fn ids(list: &Response) -> Vec<Uuid> {
    assert_eq!(list.status, 200, "{}", list.body);
    let list = list.json();
    let items = list["items"].as_array().unwrap();
    items.iter().map(|item| item["id"].as_str().unwrap().parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_replica_shows_what_all_have_page_by_page() {
    let replicas = Replicas::start(3).await;
    // Those of one round began in the same millisecond.
    let all = replicas.add("team-a/pay", DeliveryState::Dead, 31);
    for replica in &replicas.all {
        for limit in [1, 4, 30, 31, 500] {
            let (mut read, mut cursor) = (Vec::new(), String::new());
            loop {
                let path = format!("/api/deliveries?limit={limit}&cursor={cursor}");
                let page = replica.get(&path).await;
                read.extend(ids(&page));
                assert_eq!(page.json()["unavailable"], json!([]));
                match page.json()["cursor"].as_str() {
                    Some(next) => cursor = next.to_owned(),
                    None => break,
                }
            }
            assert_eq!(read, all, "{limit} at a time");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_asked_by_another_asks_nobody() {
    let replicas = Replicas::start(3).await;
    replicas.all[0].get("/api/deliveries").await;
    // Once it comes upon itself.
    assert_eq!(replicas.requests(), [2, 1, 1]);
    replicas.all[0].get("/api/deliveries").await;
    assert_eq!(replicas.requests(), [1, 1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_shown_and_replayed_by_way_of_any_replica() {
    let replicas = Replicas::start(2).await;
    let there = replicas.all[1].shelf.add("team-a/pay", DeliveryState::Dead);
    let pending = replicas.all[1].shelf.add("team-a/pay", DeliveryState::Pending);
    let here = &replicas.all[0];
    let shown = here.get(&format!("/api/deliveries/{there}")).await;
    assert_eq!((shown.status, &shown.json()["id"]), (200, &json!(there)));
    let begun = here.post(&format!("/api/deliveries/{there}/replay"), "").await;
    let begun_id = begun.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(begun.status, 201);
    assert_eq!(begun.header("location"), Some(&*format!("/api/deliveries/{begun_id}")));
    assert_eq!(here.get(&format!("/api/deliveries/{begun_id}")).await.status, 200);
    assert_eq!(replicas.all[1].shelf.details.lock().unwrap().len(), 3);

    let refused = here.post(&format!("/api/deliveries/{pending}/replay"), "").await;
    assert_eq!((refused.status, &*refused.reason()), (409, "not_ended"));
    let unknown = here.get(&format!("/api/deliveries/{}", Uuid::from_u128(3))).await;
    assert_eq!((unknown.status, &*unknown.reason()), (404, "error_404"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_by_filter_is_one_of_all_replicas() {
    let replicas = Replicas::start(3).await;
    replicas.add("team-a/pay", DeliveryState::Dead, 7);
    replicas.add("team-a/other", DeliveryState::Dead, 2);
    let answer = replicas.all[2].post("/api/deliveries/replay", r#"{"webhook":"pay"}"#).await;
    assert_eq!(answer.json(), json!({"replayed": 7, "unavailable": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_does_not_answer_is_named_and_the_rest_is_shown() {
    let mut replicas = Replicas::start(3).await;
    let all = replicas.add("team-a/pay", DeliveryState::Dead, 6);
    let lost = replicas.all[1].shelf.details.lock().unwrap()[0].summary.id;
    assert_eq!(ids(&replicas.all[0].get("/api/deliveries").await), all);
    replicas.end(1).await;

    let list = replicas.all[0].get("/api/deliveries").await;
    assert_eq!((ids(&list).len(), &list.json()["unavailable"]), (4, &json!(["operator-1"])));
    // One that has never met it only knows where it should be.
    let list = replicas.all[2].get("/api/deliveries").await;
    let address = replicas.all[1].peer.to_string();
    assert_eq!((ids(&list).len(), &list.json()["unavailable"]), (4, &json!([address])));
    let replayed = replicas.all[0].post("/api/deliveries/replay", "{}").await;
    assert_eq!(replayed.json(), json!({"replayed": 4, "unavailable": ["operator-1"]}));

    // What may be there is not said to be nowhere.
    let path = format!("/api/deliveries/{lost}");
    let shown = replicas.all[0].get(&path).await;
    assert_eq!((shown.status, &*shown.reason()), (503, "replica_unavailable"));
    assert!(shown.json()["message"].as_str().unwrap().ends_with("operator-1"), "{}", shown.body);
    assert!(shown.header("retry-after").is_some());
    let replay = replicas.all[0].post(&format!("{path}/replay"), "").await;
    assert_eq!((replay.status, &*replay.reason()), (503, "replica_unavailable"));
    // What is elsewhere is there.
    let found = ids(&list)[0];
    assert_eq!(replicas.all[0].get(&format!("/api/deliveries/{found}")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_rights_in_one_namespace_sees_nothing_of_another_through_any_replica() {
    let replicas = Replicas::start(2).await;
    let mine: BTreeSet<_> =
        replicas.add("team-a/pay", DeliveryState::Dead, 4).into_iter().collect();
    let theirs = replicas.add("team-b/pay", DeliveryState::Dead, 4);
    for replica in &replicas.all {
        let get = |path: String| async move { replica.call("jane", "GET", &path, "").await };
        let listed = get("/api/deliveries?namespace=team-a".into()).await;
        assert_eq!(ids(&listed).into_iter().collect::<BTreeSet<_>>(), mine);
        for path in ["/api/deliveries", "/api/deliveries?namespace=team-b"] {
            assert_eq!(get(path.into()).await.reason(), "forbidden");
        }
        for id in &theirs {
            assert_eq!(get(format!("/api/deliveries/{id}")).await.status, 404);
            let path = format!("/api/deliveries/{id}/replay");
            assert_eq!(replica.call("jane", "POST", &path, "").await.status, 404);
        }
        for id in &mine {
            assert_eq!(get(format!("/api/deliveries/{id}")).await.status, 200);
        }
        replicas.requests();
        // Who is nobody makes no replica ask another.
        assert_eq!(replica.call("stranger", "GET", "/api/deliveries", "").await.status, 401);
        assert_eq!(replicas.requests().iter().sum::<usize>(), 1);
    }
}

/// Rights that differ from one replica to another, as they do while a role is taken away.
#[tokio::test(flavor = "multi_thread")]
async fn each_replica_decides_by_itself_what_a_caller_may_do() {
    let replicas = Replicas::start(2).await;
    let theirs = replicas.all[1].shelf.add("team-b/pay", DeliveryState::Dead);
    // The first one would let jane see everything; the one that has it does not.
    let asked = Arc::new(Cluster::default());
    asked.grant("jane", Verb::Get, None, None);
    asked.grant("jane", Verb::List, None, None);
    let names = vec![replicas.all[1].peer.to_string().parse().unwrap()];
    let peers = Peers::new(names, HeaderValue::from_static("lenient_1"), credentials(7));
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let lenient = Replica::start(port, Guard::Cluster(asked), peers).await;
    let shown = lenient.call("jane", "GET", &format!("/api/deliveries/{theirs}"), "").await;
    assert_eq!(shown.status, 404, "{}", shown.body);
    let list = lenient.call("jane", "GET", "/api/deliveries", "").await;
    assert_eq!((ids(&list), &list.json()["unavailable"]), (vec![], &json!(["operator-1"])));
    // With the right there, it is.
    replicas.cluster.grant("jane", Verb::Get, None, None);
    let shown = lenient.call("jane", "GET", &format!("/api/deliveries/{theirs}"), "").await;
    assert_eq!(shown.json()["id"], json!(theirs));
}
