//! The overview API: apps and webhooks with their state and delivery counts.

mod counts;
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

use self::counts::AllCounts;
use self::view::{AppItem, OverviewPage, WebhookItem};
use super::Guard;
use super::deliveries::view::TalliesView;
use super::error::AdminError;
use super::guard::AdminCaller;
use crate::http::json;
use crate::moment::Moment;
use crate::peers::{Peers, Question, REPLICA};
use crate::plan::overview::Part;
use crate::source::{PlanRunner, Right, Verb};
use crate::store::History;

/// Maximum size of a replica's response, in bytes: about 25,000 webhooks with their last hour. A
/// replica with a larger response counts as unreachable; callers can then filter by namespace.
const MAX_RESPONSE: usize = 16 << 20;

/// State of the overview API.
#[derive(Debug)]
struct OverviewApi {
    runner: Arc<PlanRunner>,
    history: Arc<dyn History>,
    guard: Guard,
    peers: Arc<Peers>,
    clock: fn() -> Moment,
}

impl FromRef<Arc<OverviewApi>> for Guard {
    fn from_ref(api: &Arc<OverviewApi>) -> Self {
        api.guard.clone()
    }
}

/// `/api/apps` and `/api/webhooks`. They need the right to list deliveries. If the replicas share
/// their store, no peer is asked, and the last hour is that of this replica.
pub fn router(
    runner: Arc<PlanRunner>,
    history: Arc<dyn History>,
    guard: Guard,
    peers: Arc<Peers>,
) -> Router {
    let peers = peers.for_history(history.scope());
    let api = OverviewApi { runner, history, guard, peers, clock: Moment::now };
    Router::new()
        .route("/api/apps", get(apps))
        .route("/api/webhooks", get(webhooks))
        .method_not_allowed_fallback(async || AdminError::MethodNotAllowed)
        .with_state(Arc::new(api))
}

async fn apps(
    State(api): State<Arc<OverviewApi>>,
    caller: AdminCaller,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, AdminError> {
    let part = api.part(&caller, query, &["namespace"]).await?;
    let (counts, unavailable) = api.counts(&headers, part.namespace.as_deref()).await?;
    let found = api.runner.planner().app_overviews(&part);
    let page = OverviewPage::of(
        found,
        part.limit - 1,
        |app| &app.position,
        |app| {
            let counts = counts.of_app(&app.position.key, &app.ids);
            AppItem::new(app, counts)
        },
    );
    Ok(json(StatusCode::OK, &OverviewPage { unavailable, ..page }).map(Body::new))
}

async fn webhooks(
    State(api): State<Arc<OverviewApi>>,
    caller: AdminCaller,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, AdminError> {
    let part = api.part(&caller, query, &["namespace", "app"]).await?;
    let (counts, unavailable) = api.counts(&headers, part.namespace.as_deref()).await?;
    let found = api.runner.planner().webhook_overviews(&part);
    let page = OverviewPage::of(
        found,
        part.limit - 1,
        |webhook| &webhook.position,
        |webhook| {
            let counts = counts.of_webhook(&webhook.position.key, webhook.id.as_slice());
            WebhookItem::new(webhook, counts)
        },
    );
    Ok(json(StatusCode::OK, &OverviewPage { unavailable, ..page }).map(Body::new))
}

impl OverviewApi {
    /// Parses the query and checks the caller's right. The limit is increased by one, because an
    /// additional item shows that a next page exists.
    async fn part(
        &self,
        caller: &AdminCaller,
        query: Option<String>,
        filters: &[&str],
    ) -> Result<Part, AdminError> {
        let part = query::part(query.as_deref().unwrap_or_default(), filters)?;
        let right = Right { verb: Verb::List, namespace: part.namespace.clone(), webhook: None };
        self.guard.require(caller, right).await?;
        Ok(Part { limit: part.limit + 1, ..part })
    }

    /// The counts of all replicas, and the names of the unreachable ones.
    async fn counts(
        &self,
        headers: &HeaderMap,
        namespace: Option<&str>,
    ) -> Result<(AllCounts<'_>, Vec<String>), AdminError> {
        let (others, unavailable) = self.counts_of_others(headers, namespace).await;
        let tallies = self.history.tallies().await?;
        let mut counts = AllCounts::new(&tallies, self.runner.routes().meters(), (self.clock)());
        others.into_iter().for_each(|(_, tallies)| counts.add(tallies.items));
        Ok((counts, unavailable))
    }

    /// Requests the counts of the other replicas with the caller's token.
    async fn counts_of_others(
        &self,
        headers: &HeaderMap,
        namespace: Option<&str>,
    ) -> (Vec<(String, TalliesView)>, Vec<String>) {
        if headers.contains_key(REPLICA) {
            return Default::default();
        }
        let authorization = headers.get(AUTHORIZATION).cloned();
        let namespace = namespace.unwrap_or_default();
        let question = Question::tallies(namespace, true, authorization, MAX_RESPONSE);
        self.peers.ask(&question).await.read()
    }
}
