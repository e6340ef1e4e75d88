//! Replicas that share their store: each answers for all, and asks nobody.

use std::sync::Arc;

use futures_util::FutureExt as _;
use http::HeaderValue;
use serde_json::json;
use tokio::net::TcpListener;
use uuid::Uuid;
use webhook_operator::peers::Peers;
use webhook_operator::store::DeliveryState;

use super::replicas::credentials;
use super::shelf::Shelf;
use super::world::{World, loopback};

/// Two replicas over one shelf, and the ports at which they expect each other.
struct Pair {
    replicas: [World; 2],
    ports: [TcpListener; 2],
}

impl Pair {
    async fn over(shelf: Arc<Shelf>) -> Self {
        let port = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ports = [port().await, port().await];
        let replica = |number: usize| {
            let names = ports.iter().map(|port| port.local_addr().unwrap().to_string());
            let names = names.map(|name| name.parse().unwrap()).collect();
            let me = HeaderValue::try_from(format!("operator-{number}_{number}")).unwrap();
            let world =
                World::replica(shelf.clone(), loopback(), Peers::new(names, me, credentials(7)));
            world.add_app("team-a/shop", 1, "http://192.0.2.1/");
            let spec = json!({"uuid": Uuid::from_u128(2)});
            world.add_webhook("team-a/pay", "shop", spec);
            world
        };
        Self { replicas: [replica(0), replica(1)], ports }
    }

    /// Whether a replica has called another one.
    fn has_called(&self) -> bool {
        self.ports.iter().any(|port| port.accept().now_or_never().is_some())
    }
}

#[tokio::test]
async fn each_lists_counts_and_replays_each_delivery_once_and_calls_no_other() {
    let shelf = Shelf::shared();
    let mut all: Vec<String> =
        (0..3).map(|_| shelf.add("team-a/pay", DeliveryState::Dead).to_string()).collect();
    all.reverse();
    let pair = Pair::over(shelf.clone()).await;
    for replica in &pair.replicas {
        let list = replica.get("/api/deliveries").await;
        assert_eq!((list.ids(), &list.ok()["unavailable"]), (all.clone(), &json!([])));
        for path in ["/api/webhooks", "/api/apps"] {
            let page = replica.get(path).await.ok();
            assert_eq!(page["items"][0]["deliveries"]["dead"], 3, "{path}");
            assert_eq!(page["unavailable"], json!([]), "{path}");
        }
        let tallies = replica.get("/api/tallies").await.ok();
        assert_eq!(tallies["items"][0]["deliveries"]["dead"], 3);
        let shown = replica.get(&format!("/api/deliveries/{}", all[0])).await;
        assert_eq!(shown.ok()["id"], json!(all[0]));
        // It is nowhere, as there is nowhere else to look.
        let unknown = format!("/api/deliveries/{}", Uuid::from_u128(3));
        replica.get(&unknown).await.fails(404, "error_404");
    }
    let replayed = pair.replicas[0].post("/api/deliveries/replay", "{}").await.ok();
    assert_eq!(replayed, json!({"replayed": 3, "unavailable": []}));
    assert_eq!(shelf.details.lock().unwrap().len(), 6);
    assert!(!pair.has_called());
}

/// What the test above relies on.
#[tokio::test]
async fn a_replica_with_a_store_of_its_own_calls_the_others() {
    let pair = Pair::over(Shelf::empty()).await;
    let list = pair.replicas[0].get("/api/deliveries").map(drop);
    let call = async { pair.ports[1].accept().await.map(drop).unwrap() };
    tokio::select! {
        () = call => {}
        () = list => panic!("it answered without the other"),
    }
}
