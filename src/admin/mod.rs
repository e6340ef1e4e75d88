//! The admin port: is this replica alive, and does it serve.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::sync::watch;

/// What the probes ask.
#[derive(Clone, Debug)]
pub struct Health {
    /// True once every route is known.
    pub synced: watch::Receiver<bool>,
    /// True once the server is stopping.
    pub stopping: watch::Receiver<bool>,
}

/// `/livez` and `/readyz`, as Kubernetes names them.
pub fn router(health: Health) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .with_state(health)
}

async fn readyz(State(health): State<Health>) -> (StatusCode, &'static str) {
    if *health.stopping.borrow() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping")
    } else if !*health.synced.borrow() {
        (StatusCode::SERVICE_UNAVAILABLE, "routes are not synced yet")
    } else {
        (StatusCode::OK, "ok")
    }
}
