//! The delivery API: what happened to each event, and its replay.

mod handlers;
mod mask;
mod merge;
mod others;
pub(super) mod query;
mod since;
mod tallies;
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
use super::error::ApiError;
use crate::moment::Moment;
use crate::peers::Peers;
use crate::routes::Table;
use crate::source::LocalTallies;
use crate::store::Store;

/// The description of the API (OpenAPI 3.1), kept by hand and held to the code by a test.
pub const OPENAPI: &str = include_str!("openapi.json");

/// What the delivery API works with.
#[derive(Debug)]
struct Deliveries {
    store: Arc<dyn Store>,
    guard: Guard,
    peers: Arc<Peers>,
    tallies: LocalTallies,
    routes: Arc<Table>,
    clock: fn() -> Moment,
}

impl FromRef<Arc<Deliveries>> for Guard {
    fn from_ref(api: &Arc<Deliveries>) -> Self {
        api.guard.clone()
    }
}

/// The paths under `/api`, for what this replica and its peers have. Under [`Guard::Loopback`] a request needs its [`crate::http::Peer`] as an
/// extension; without one nobody may call.
pub fn router(
    store: Arc<dyn Store>,
    routes: Arc<Table>,
    guard: Guard,
    peers: Arc<Peers>,
) -> Router {
    let tallies = LocalTallies::new(store.clone(), routes.clone());
    let between_replicas = from_fn_with_state(peers.clone(), others::between_replicas);
    let deliveries = Deliveries { store, guard, peers, tallies, routes, clock: Moment::now };
    let paths = Router::new()
        .route("/openapi.json", get(openapi))
        .route("/deliveries", get(handlers::list))
        .route("/deliveries/replay", post(handlers::replay_all))
        .route("/deliveries/{id}", get(handlers::show))
        .route("/deliveries/{id}/replay", post(handlers::replay))
        .route("/tallies", get(tallies::tallies))
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(between_replicas)
        .with_state(Arc::new(deliveries));
    Router::new().nest("/api", paths)
}

/// The same paths for the port that replicas call, which answers nobody else: each question is for this replica
/// alone. It takes a right of the caller as everywhere.
pub fn peer_router(
    store: Arc<dyn Store>,
    routes: Arc<Table>,
    guard: Guard,
    peers: Arc<Peers>,
) -> Router {
    router(store, routes, guard, peers).layer(from_fn(others::only_from_replicas))
}

async fn openapi() -> ([(HeaderName, &'static str); 1], Bytes) {
    ([(CONTENT_TYPE, "application/json")], Bytes::from_static(OPENAPI.as_bytes()))
}
