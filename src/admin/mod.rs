//! The admin port: is this replica alive, does it serve, and what does it have.

mod metrics;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::watch;

pub use metrics::Metrics;

/// What the admin port tells.
#[derive(Clone, Debug)]
pub struct Health {
    /// What is measured, and whether every route is known.
    pub metrics: Metrics,
    /// True once the server is stopping.
    pub stopping: watch::Receiver<bool>,
}

/// `/livez` and `/readyz`, as Kubernetes names them, and `/metrics` for Prometheus.
pub fn router(health: Health) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(health)
}

async fn readyz(State(health): State<Health>) -> (StatusCode, &'static str) {
    if *health.stopping.borrow() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping")
    } else if !*health.metrics.synced.borrow() {
        (StatusCode::SERVICE_UNAVAILABLE, "routes are not synced yet")
    } else {
        (StatusCode::OK, "ok")
    }
}

async fn metrics(State(health): State<Health>) -> Response {
    match health.metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
