//! What the delivery API does: list, show, replay.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, RawQuery, State};
use axum::response::Response;
use http::header::LOCATION;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use uuid::Uuid;

use super::Deliveries;
use super::access::Caller;
use super::error::ApiError;
use super::query::{self, MAX_LIMIT, Page};
use super::view::{Begun, Delivery, FullDelivery, List, Replayed};
use crate::http::{json, read_body};
use crate::source::{Right, Verb};
use crate::store::{Detail, Filter};

/// The largest filter, in bytes.
const MAX_BODY: usize = 16 * 1024;

/// The id in a path.
pub struct Id(Uuid);

impl FromRequestParts<Arc<Deliveries>> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        api: &Arc<Deliveries>,
    ) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, api).await;
        let id = path.ok().and_then(|Path(text)| Uuid::try_parse(&text).ok());
        // What is no id is no delivery's.
        id.map(Self).ok_or(ApiError::NotFound)
    }
}

/// `GET /api/deliveries`.
pub async fn list(
    State(api): State<Arc<Deliveries>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let Page { filter, cursor, limit } =
        query::page(query.as_deref().unwrap_or_default(), (api.clock)())?;
    api.require(&caller, right(Verb::List, &filter)).await?;
    // One more tells whether there is a next page.
    let mut found = api.store.list(filter, cursor, limit + 1).await?;
    let is_last = found.len() <= limit;
    found.truncate(limit);
    let last = found.last().filter(|_| !is_last);
    let cursor = last.map(|last| query::cursor(last.id));
    let items = found.into_iter().map(Delivery::from).collect();
    Ok(answer(StatusCode::OK, &List { items, cursor }))
}

/// `GET /api/deliveries/{id}`.
pub async fn show(
    State(api): State<Arc<Deliveries>>,
    caller: Caller,
    Id(id): Id,
) -> Result<Response, ApiError> {
    let detail = api.found(id).await?;
    if !api.allows(&caller, &right_on(Verb::Get, &detail)).await? {
        return Err(ApiError::NotFound);
    }
    Ok(answer(StatusCode::OK, &FullDelivery::from(detail)))
}

/// `POST /api/deliveries/{id}/replay`.
pub async fn replay(
    State(api): State<Arc<Deliveries>>,
    caller: Caller,
    Id(id): Id,
) -> Result<Response, ApiError> {
    let detail = api.found(id).await?;
    let right = right_on(Verb::Create, &detail);
    if !api.allows(&caller, &right).await? {
        // Who may not even see it does not learn that it is there.
        let may_see = api.allows(&caller, &right_on(Verb::Get, &detail)).await?;
        return Err(if may_see { ApiError::Forbidden(right) } else { ApiError::NotFound });
    }
    if detail.summary.finished.is_none() {
        return Err(ApiError::NotEnded);
    }
    let new = api.store.replay(id, (api.clock)()).await?.ok_or(ApiError::NotFound)?;
    tracing::info!(delivery = %id, replay = %new, "a delivery was replayed");
    let mut response = answer(StatusCode::CREATED, &Begun { id: new });
    if let Ok(location) = HeaderValue::try_from(format!("/api/deliveries/{new}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// `POST /api/deliveries/replay`. It goes on in steps for as long as the caller waits.
pub async fn replay_all(
    State(api): State<Arc<Deliveries>>,
    caller: Caller,
    body: Body,
) -> Result<Response, ApiError> {
    let now = (api.clock)();
    let filter = query::replay(&read_body(body, MAX_BODY).await?, now)?;
    api.require(&caller, right(Verb::Create, &filter)).await?;
    let (mut replayed, mut cursor) = (0, None);
    loop {
        let step = api.store.replay_all(filter.clone(), cursor, MAX_LIMIT, now).await?;
        replayed += step.count as u64;
        cursor = step.cursor;
        if cursor.is_none() {
            break;
        }
    }
    tracing::info!(replayed, namespace = filter.namespace, webhook = filter.webhook, "replayed");
    Ok(answer(StatusCode::OK, &Replayed { replayed }))
}

impl Deliveries {
    async fn found(&self, id: Uuid) -> Result<Detail, ApiError> {
        self.store.show(id).await?.ok_or(ApiError::NotFound)
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

fn answer(status: StatusCode, value: &impl serde::Serialize) -> Response {
    json(status, value).map(Body::new)
}
