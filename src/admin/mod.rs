//! The admin port: health probes, metrics, and the API and page for apps, webhooks and deliveries.

pub mod deliveries;
mod error;
mod guard;
mod metrics;
pub mod overview;
pub mod page;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::watch;

use crate::store::Health;

pub use guard::Guard;
pub use metrics::Metrics;
use metrics::MetricsFormat;

/// State behind the probes and `/metrics`.
#[derive(Clone, Debug)]
pub struct ProbeState {
    /// The metrics, the health of the store, and whether all routes are known.
    pub metrics: Metrics,
    /// True once the server is stopping.
    pub stopping: watch::Receiver<bool>,
}

/// Routes of the Kubernetes probes, `/livez` and `/readyz`, and of `/metrics` for Prometheus.
pub fn router(health: ProbeState) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(health)
}

/// Fails once the store has failed, because only a new process can recover: Kubernetes then
/// restarts the container.
async fn livez(State(health): State<ProbeState>) -> (StatusCode, String) {
    match store_failure(&health) {
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
        None => (StatusCode::OK, "ok".into()),
    }
}

fn store_failure(health: &ProbeState) -> Option<String> {
    match &*health.metrics.store_health.borrow() {
        Health::Failed(why) => Some(format!("the store failed: {why}")),
        Health::Serving | Health::Full | Health::Unavailable(_) => None,
    }
}

/// A replica without its database is ready: it serves webhooks with `mode: Sync`, and recovers by
/// itself.
fn ready_text(health: &ProbeState) -> String {
    match &*health.metrics.store_health.borrow() {
        Health::Unavailable(why) => format!("ok, but the store is unavailable: {why}"),
        _ => "ok".into(),
    }
}

async fn readyz(State(health): State<ProbeState>) -> (StatusCode, String) {
    if *health.stopping.borrow() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping".into())
    } else if let Some(why) = store_failure(&health) {
        (StatusCode::SERVICE_UNAVAILABLE, why)
    } else if !*health.metrics.synced.borrow() {
        (StatusCode::SERVICE_UNAVAILABLE, "routes are not synced yet".into())
    } else {
        (StatusCode::OK, ready_text(&health))
    }
}

async fn metrics(State(health): State<ProbeState>, headers: HeaderMap) -> Response {
    let format = MetricsFormat::of(&headers);
    match health.metrics.text(format).await {
        Ok(text) => {
            ([(CONTENT_TYPE, format.content_type()), (VARY, "accept")], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
