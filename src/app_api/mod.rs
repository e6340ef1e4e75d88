//! The app API: how an app makes, sees and deletes webhooks of its own.

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

use self::error::ApiError;
use self::generation::Generation;
use self::names::Names;
use crate::app_token::Tokens;
use crate::source::{Brain, TokenReviewer, WebhookStore};

/// What the app API works with.
pub struct AppApi {
    /// What is known of apps and webhooks.
    brain: Arc<Brain>,
    /// Where webhooks are made and deleted.
    store: Arc<dyn WebhookStore>,
    /// The operator's own tokens.
    tokens: Arc<Tokens>,
    /// Who knows the tokens of ServiceAccounts; `None` outside a cluster.
    reviewer: Option<Arc<dyn TokenReviewer>>,
    /// Seconds since 1970.
    clock: fn() -> u64,
    names: Names,
}

impl AppApi {
    /// An app API. `clock` gives seconds since 1970; without a `reviewer` only the operator's own
    /// tokens are accepted.
    pub fn new(
        brain: Arc<Brain>,
        store: Arc<dyn WebhookStore>,
        tokens: Arc<Tokens>,
        reviewer: Option<Arc<dyn TokenReviewer>>,
        clock: fn() -> u64,
    ) -> Self {
        Self { brain, store, tokens, reviewer, clock, names: Names::default() }
    }
}

impl fmt::Debug for AppApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppApi").field("tokens", &self.tokens).finish_non_exhaustive()
    }
}

/// The service of the app API: both generations; any other path is its 404.
pub fn router(api: AppApi) -> Router {
    let routes = Generation::ALL.map(routes).into_iter().fold(Router::new(), Router::merge);
    routes
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .with_state(Arc::new(api))
}

fn routes(generation: Generation) -> Router<Arc<AppApi>> {
    let path = generation.path();
    Router::new()
        .route(path, get(handlers::list).post(handlers::create))
        .route(&format!("{path}/{{uuid}}"), get(handlers::show).delete(handlers::delete))
        .layer(Extension(generation))
}
