//! What is configured and how it is: apps and webhooks with what became of their events.

mod numbers;
mod query;
pub mod view;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRef, RawQuery, State};
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;

use self::numbers::Numbers;
use self::view::{App, Page, Webhook};
use super::Guard;
use super::error::ApiError;
use super::guard::Caller;
use crate::http::json;
use crate::moment::Moment;
use crate::plan::overview::Part;
use crate::source::{Brain, Right, Verb};
use crate::store::Store;

/// What the overview is made from.
#[derive(Debug)]
struct Overview {
    brain: Arc<Brain>,
    store: Arc<dyn Store>,
    guard: Guard,
    clock: fn() -> Moment,
}

impl FromRef<Arc<Overview>> for Guard {
    fn from_ref(overview: &Arc<Overview>) -> Self {
        overview.guard.clone()
    }
}

/// `/api/apps` and `/api/webhooks`. Whoever may list deliveries may call.
pub fn router(brain: Arc<Brain>, store: Arc<dyn Store>, guard: Guard) -> Router {
    let overview = Overview { brain, store, guard, clock: Moment::now };
    Router::new()
        .route("/api/apps", get(apps))
        .route("/api/webhooks", get(webhooks))
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .with_state(Arc::new(overview))
}

async fn apps(
    State(overview): State<Arc<Overview>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let part = overview.part(&caller, query, &["namespace"]).await?;
    let found = overview.brain.planner().app_overviews(&part);
    let numbers = overview.numbers().await?;
    let page = Page::of(
        found,
        part.limit - 1,
        |app| &app.position,
        |app| {
            let numbers = numbers.of_app(&app.ids);
            App::new(app, numbers)
        },
    );
    Ok(json(StatusCode::OK, &page).map(Body::new))
}

async fn webhooks(
    State(overview): State<Arc<Overview>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let part = overview.part(&caller, query, &["namespace", "app"]).await?;
    let found = overview.brain.planner().webhook_overviews(&part);
    let numbers = overview.numbers().await?;
    let page = Page::of(
        found,
        part.limit - 1,
        |webhook| &webhook.position,
        |webhook| {
            let numbers = numbers.of(webhook.id.as_slice());
            Webhook::new(webhook, numbers)
        },
    );
    Ok(json(StatusCode::OK, &page).map(Body::new))
}

impl Overview {
    /// What the caller asks for and may see, and one more: it tells whether there is a next page.
    async fn part(
        &self,
        caller: &Caller,
        query: Option<String>,
        filters: &[&str],
    ) -> Result<Part, ApiError> {
        let part = query::part(query.as_deref().unwrap_or_default(), filters)?;
        let right = Right { verb: Verb::List, namespace: part.namespace.clone(), webhook: None };
        self.guard.require(caller, right).await?;
        Ok(Part { limit: part.limit + 1, ..part })
    }

    async fn numbers(&self) -> Result<Numbers<'_>, ApiError> {
        let tallies = self.store.tallies().await?;
        Ok(Numbers::new(&tallies, self.brain.routes().meters(), (self.clock)()))
    }
}
