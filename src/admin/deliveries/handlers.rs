//! Handlers of the delivery API: list, show and replay.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, RawQuery, State};
use axum::response::Response;
use http::header::LOCATION;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use uuid::Uuid;

use super::DeliveryApi;
use super::merge;
use super::other_replicas::OtherReplicas;
use super::query::{self, ListQuery, MAX_LIMIT};
use super::transformed::transformed;
use super::view::{Begun, DeliveryView, FullDelivery, List, ReplayedView};
use crate::admin::error::AdminError;
use crate::admin::guard::AdminCaller;
use crate::http::{json, read_body};
use crate::moment::Moment;
use crate::routes::Id;
use crate::source::{Right, Verb};
use crate::store::{Detail, Filter, StoreError, Summary};

/// Maximum size of a filter, in bytes.
const MAX_BODY: usize = 16 * 1024;

/// Deadline of a replay by filter on another replica.
const REPLAY_DEADLINE: Duration = Duration::from_secs(15 * 60);

/// The delivery id in a path.
pub struct DeliveryId(Uuid);

impl FromRequestParts<Arc<DeliveryApi>> for DeliveryId {
    type Rejection = AdminError;

    async fn from_request_parts(
        parts: &mut Parts,
        api: &Arc<DeliveryApi>,
    ) -> Result<Self, AdminError> {
        let path = Path::<String>::from_request_parts(parts, api).await;
        let id = path.ok().and_then(|Path(text)| Uuid::try_parse(&text).ok());
        // An invalid id belongs to no delivery, so the response is that of an unknown one.
        id.map(Self).ok_or(AdminError::NotFound)
    }
}

/// `GET /api/deliveries`.
pub async fn list(
    State(api): State<Arc<DeliveryApi>>,
    caller: AdminCaller,
    others: OtherReplicas,
    RawQuery(query): RawQuery,
) -> Result<Response, AdminError> {
    let ListQuery { filter, cursor, limit } =
        query::list(query.as_deref().unwrap_or_default(), (api.clock)())?;
    api.guard.require(&caller, right(Verb::List, &filter)).await?;
    // One item more than the limit shows that a next page exists.
    let own = api.history.list(filter, cursor, limit + 1);
    let (own, responses) = tokio::join!(own, others.responses());
    let (others, unavailable) = responses.read::<List>();
    let own = List { items: items(own?), cursor: None, unavailable };
    let pages = others.into_iter().map(|(_, page)| page).chain([own]).collect();
    Ok(json_response(StatusCode::OK, &merge::pages(pages, limit)))
}

fn items(found: Vec<Summary>) -> Vec<DeliveryView> {
    found.into_iter().map(DeliveryView::from).collect()
}

/// `GET /api/deliveries/{id}`.
pub async fn show(
    State(api): State<Arc<DeliveryApi>>,
    caller: AdminCaller,
    others: OtherReplicas,
    DeliveryId(id): DeliveryId,
) -> Result<Response, AdminError> {
    let Some(detail) = api.history.show(id).await? else { return others.find().await };
    if !api.guard.allows(&caller, &right_on(Verb::Get, &detail)).await? {
        return Err(AdminError::NotFound);
    }
    let webhook = &detail.summary.webhook;
    let route = api.routes.get(Id { app: webhook.app.uuid, webhook: webhook.uuid });
    // As at an attempt: a webhook of another namespace that has the UUID now is another one.
    let route = route.filter(|route| route.app.id == webhook.app);
    let transformed = transformed(&detail, route.as_deref());
    Ok(json_response(StatusCode::OK, &FullDelivery::new(detail, transformed)))
}

/// `POST /api/deliveries/{id}/replay`.
pub async fn replay(
    State(api): State<Arc<DeliveryApi>>,
    caller: AdminCaller,
    others: OtherReplicas,
    DeliveryId(id): DeliveryId,
) -> Result<Response, AdminError> {
    let Some(detail) = api.history.show(id).await? else { return others.find().await };
    let right = right_on(Verb::Create, &detail);
    if !api.guard.allows(&caller, &right).await? {
        // A caller who may not see the delivery must not learn that it exists.
        let may_see = api.guard.allows(&caller, &right_on(Verb::Get, &detail)).await?;
        return Err(if may_see { AdminError::Forbidden(right) } else { AdminError::NotFound });
    }
    if detail.summary.finished.is_none() {
        return Err(AdminError::Pending);
    }
    let new = api.history.replay(id, (api.clock)()).await?.ok_or(AdminError::NotFound)?;
    tracing::info!(delivery = %id, replay = %new, "replayed a delivery");
    let mut response = json_response(StatusCode::CREATED, &Begun { id: new });
    if let Ok(location) = HeaderValue::try_from(format!("/api/deliveries/{new}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// `POST /api/deliveries/replay`. Runs in steps and stops when the client disconnects.
pub async fn replay_all(
    State(api): State<Arc<DeliveryApi>>,
    caller: AdminCaller,
    others: OtherReplicas,
    body: Body,
) -> Result<Response, AdminError> {
    let now = (api.clock)();
    let body = read_body(body, MAX_BODY).await?;
    let filter = query::replay(&body, now)?;
    api.guard.require(&caller, right(Verb::Create, &filter)).await?;
    let others = others.with_body(body, REPLAY_DEADLINE);
    let (own, responses) = tokio::join!(api.replay_own(&filter, now), others.responses());
    let (replays, mut unavailable) = responses.read::<ReplayedView>();
    let mut replayed = own?;
    for (_, other) in replays {
        replayed += other.replayed;
        unavailable.extend(other.unavailable);
    }
    Ok(json_response(StatusCode::OK, &ReplayedView { replayed, unavailable }))
}

impl DeliveryApi {
    async fn replay_own(&self, filter: &Filter, now: Moment) -> Result<u64, StoreError> {
        let (mut replayed, mut cursor) = (0, None);
        loop {
            let step = self.history.replay_all(filter.clone(), cursor, MAX_LIMIT, now).await?;
            replayed += step.count as u64;
            cursor = step.cursor;
            if cursor.is_none() {
                break;
            }
        }
        let Filter { namespace, webhook, .. } = filter;
        tracing::info!(replayed, namespace, webhook, "replayed deliveries by filter");
        Ok(replayed)
    }
}

fn right(verb: Verb, filter: &Filter) -> Right {
    Right { verb, namespace: filter.namespace.clone(), webhook: filter.webhook.clone() }
}

fn right_on(verb: Verb, detail: &Detail) -> Right {
    let webhook = &detail.summary.webhook;
    let (namespace, name) = (webhook.namespace.to_string(), webhook.name.to_string());
    Right { verb, namespace: Some(namespace), webhook: Some(name) }
}

/// A JSON response.
pub fn json_response(status: StatusCode, value: &impl serde::Serialize) -> Response {
    json(status, value).map(Body::new)
}
