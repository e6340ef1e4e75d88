//! The app API, with which an app creates, reads and deletes its own webhooks.

mod caller;
mod error;
mod generation;
mod handlers;
mod names;
mod request;
mod view;

use std::fmt;
use std::sync::Arc;

use axum::routing::get;
use axum::{Extension, Router};

use self::error::AppApiError;
use self::generation::Generation;
use self::names::Names;
use crate::app_token::Tokens;
use crate::source::{PlanRunner, TokenReviewer, WebhookStore};

/// The state of the app API.
pub struct AppApi {
    /// The known apps and webhooks.
    runner: Arc<PlanRunner>,
    /// Creates and deletes webhooks.
    store: Arc<dyn WebhookStore>,
    /// The operator's own tokens.
    tokens: Arc<Tokens>,
    /// Reviews ServiceAccount tokens; `None` outside a cluster.
    reviewer: Option<Arc<dyn TokenReviewer>>,
    /// Returns seconds since 1970.
    clock: fn() -> u64,
    names: Names,
}

impl AppApi {
    /// Creates the state. `clock` returns seconds since 1970. Without a `reviewer` only the
    /// operator's own tokens are accepted.
    pub fn new(
        runner: Arc<PlanRunner>,
        store: Arc<dyn WebhookStore>,
        tokens: Arc<Tokens>,
        reviewer: Option<Arc<dyn TokenReviewer>>,
        clock: fn() -> u64,
    ) -> Self {
        Self { runner, store, tokens, reviewer, clock, names: Names::default() }
    }
}

impl fmt::Debug for AppApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppApi").field("tokens", &self.tokens).finish_non_exhaustive()
    }
}

/// The router of the app API: both generations, and a 404 for any other path.
pub fn router(api: AppApi) -> Router {
    let routes = Generation::ALL.map(routes).into_iter().fold(Router::new(), Router::merge);
    routes
        .fallback(async || AppApiError::NotFound)
        .method_not_allowed_fallback(async || AppApiError::MethodNotAllowed)
        .with_state(Arc::new(api))
}

fn routes(generation: Generation) -> Router<Arc<AppApi>> {
    let path = generation.path();
    Router::new()
        .route(path, get(handlers::list).post(handlers::create))
        .route(&format!("{path}/{{uuid}}"), get(handlers::show).delete(handlers::delete))
        .layer(Extension(generation))
}
