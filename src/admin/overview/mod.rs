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
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};

use self::numbers::Numbers;
use self::view::{App, Page, Webhook};
use super::Guard;
use super::deliveries::view::Tallies;
use super::error::ApiError;
use super::guard::Caller;
use crate::http::json;
use crate::moment::Moment;
use crate::peers::{Peers, Question, REPLICA};
use crate::plan::overview::Part;
use crate::source::{Brain, Right, Verb};
use crate::store::Store;

/// The largest answer of a replica, in bytes: some 25,000 webhooks with their last hour. Whose answer is
/// larger counts as one that does not answer; the caller may name a namespace.
const MAX_ANSWER: usize = 16 << 20;

/// What the overview is made from.
#[derive(Debug)]
struct Overview {
    brain: Arc<Brain>,
    store: Arc<dyn Store>,
    guard: Guard,
    peers: Arc<Peers>,
    clock: fn() -> Moment,
}

impl FromRef<Arc<Overview>> for Guard {
    fn from_ref(overview: &Arc<Overview>) -> Self {
        overview.guard.clone()
    }
}

/// `/api/apps` and `/api/webhooks`. Whoever may list deliveries may call.
pub fn router(brain: Arc<Brain>, store: Arc<dyn Store>, guard: Guard, peers: Arc<Peers>) -> Router {
    let overview = Overview { brain, store, guard, peers, clock: Moment::now };
    Router::new()
        .route("/api/apps", get(apps))
        .route("/api/webhooks", get(webhooks))
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .with_state(Arc::new(overview))
}

async fn apps(
    State(overview): State<Arc<Overview>>,
    caller: Caller,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let part = overview.part(&caller, query, &["namespace"]).await?;
    let (numbers, unavailable) = overview.numbers(&headers, part.namespace.as_deref()).await?;
    let found = overview.brain.planner().app_overviews(&part);
    let page = Page::of(
        found,
        part.limit - 1,
        |app| &app.position,
        |app| {
            let numbers = numbers.of_app(&app.position.key, &app.ids);
            App::new(app, numbers)
        },
    );
    Ok(json(StatusCode::OK, &Page { unavailable, ..page }).map(Body::new))
}

async fn webhooks(
    State(overview): State<Arc<Overview>>,
    caller: Caller,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let part = overview.part(&caller, query, &["namespace", "app"]).await?;
    let (numbers, unavailable) = overview.numbers(&headers, part.namespace.as_deref()).await?;
    let found = overview.brain.planner().webhook_overviews(&part);
    let page = Page::of(
        found,
        part.limit - 1,
        |webhook| &webhook.position,
        |webhook| {
            let numbers = numbers.of_webhook(&webhook.position.key, webhook.id.as_slice());
            Webhook::new(webhook, numbers)
        },
    );
    Ok(json(StatusCode::OK, &Page { unavailable, ..page }).map(Body::new))
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

    /// The numbers of all replicas, and the names of those that did not tell theirs.
    async fn numbers(
        &self,
        headers: &HeaderMap,
        namespace: Option<&str>,
    ) -> Result<(Numbers<'_>, Vec<String>), ApiError> {
        let (told, unavailable) = self.others(headers, namespace).await;
        let tallies = self.store.tallies().await?;
        let mut numbers = Numbers::new(&tallies, self.brain.routes().meters(), (self.clock)());
        told.into_iter().for_each(|(_, tallies)| numbers.add(tallies.items));
        Ok((numbers, unavailable))
    }

    /// What the other replicas tell, asked as the caller.
    async fn others(
        &self,
        headers: &HeaderMap,
        namespace: Option<&str>,
    ) -> (Vec<(String, Tallies)>, Vec<String>) {
        if headers.contains_key(REPLICA) {
            return Default::default();
        }
        let authorization = headers.get(AUTHORIZATION).cloned();
        let namespace = namespace.unwrap_or_default();
        let question = Question::tallies(namespace, true, authorization, MAX_ANSWER);
        self.peers.ask(&question).await.read()
    }
}
