//! The delivery API: the history of each event, and its replay.

mod handlers;
mod mask;
mod merge;
mod other_replicas;
pub(super) mod query;
mod since;
mod tallies;
mod transformed;
pub mod view;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::FromRef;
use axum::http::HeaderName;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};

pub use self::since::since;
use super::Guard;
use super::error::AdminError;
use crate::moment::Moment;
use crate::peers::Peers;
use crate::routes::Table;
use crate::source::LocalTallies;
use crate::store::History;

/// The OpenAPI 3.1 description of the API. Written by hand; a test compares it with the code.
pub const OPENAPI: &str = include_str!("openapi.json");

/// State of the delivery API.
#[derive(Debug)]
struct DeliveryApi {
    history: Arc<dyn History>,
    guard: Guard,
    peers: Arc<Peers>,
    tallies: LocalTallies,
    routes: Arc<Table>,
    clock: fn() -> Moment,
}

impl FromRef<Arc<DeliveryApi>> for Guard {
    fn from_ref(api: &Arc<DeliveryApi>) -> Self {
        api.guard.clone()
    }
}

/// The paths under `/api`, for the deliveries of this replica and its peers. If the replicas share
/// their store, no peer is asked. With
/// [`Guard::Loopback`] each request needs its [`crate::http::Peer`] as an extension; requests
/// without one are rejected.
pub fn router(
    history: Arc<dyn History>,
    routes: Arc<Table>,
    guard: Guard,
    peers: Arc<Peers>,
) -> Router {
    let peers = peers.for_history(history.scope());
    let tallies = LocalTallies::new(history.clone(), routes.clone());
    let identify_replica = from_fn_with_state(peers.clone(), other_replicas::identify_replica);
    let api = DeliveryApi { history, guard, peers, tallies, routes, clock: Moment::now };
    let paths = Router::new()
        .route("/openapi.json", get(openapi))
        .route("/deliveries", get(handlers::list))
        .route("/deliveries/replay", post(handlers::replay_all))
        .route("/deliveries/{id}", get(handlers::show))
        .route("/deliveries/{id}/replay", post(handlers::replay))
        .route("/tallies", get(tallies::tallies))
        .fallback(async || AdminError::NotFound)
        .method_not_allowed_fallback(async || AdminError::MethodNotAllowed)
        .layer(identify_replica)
        .with_state(Arc::new(api));
    Router::new().nest("/api", paths)
}

/// The same paths for the peer port, which serves requests from replicas only and answers for this
/// replica only. The rights of the original caller are checked as on the admin port.
pub fn peer_router(
    history: Arc<dyn History>,
    routes: Arc<Table>,
    guard: Guard,
    peers: Arc<Peers>,
) -> Router {
    router(history, routes, guard, peers).layer(from_fn(other_replicas::require_replica))
}

async fn openapi() -> ([(HeaderName, &'static str); 1], Bytes) {
    ([(CONTENT_TYPE, "application/json")], Bytes::from_static(OPENAPI.as_bytes()))
}
