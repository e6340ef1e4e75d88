//! What the delivery API does: list, show, replay.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, RawQuery, State};
use axum::response::Response;
use http::header::LOCATION;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use uuid::Uuid;

use super::Deliveries;
use super::merge;
use super::others::Others;
use super::query::{self, MAX_LIMIT, Page};
use super::view::{Begun, Delivery, FullDelivery, List, Replayed};
use crate::admin::error::ApiError;
use crate::admin::guard::Caller;
use crate::http::{json, read_body};
use crate::moment::Moment;
use crate::source::{Right, Verb};
use crate::store::{Detail, Filter, StoreError, Summary};

/// The largest filter, in bytes.
const MAX_BODY: usize = 16 * 1024;

/// How long another replica may take for a replay by filter.
const REPLAY_DEADLINE: Duration = Duration::from_secs(15 * 60);

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
    others: Others,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let Page { filter, cursor, limit } =
        query::page(query.as_deref().unwrap_or_default(), (api.clock)())?;
    api.guard.require(&caller, right(Verb::List, &filter)).await?;
    // One more tells whether there is a next page.
    let own = api.store.list(filter, cursor, limit + 1);
    let (own, answers) = tokio::join!(own, others.answers());
    let (others, unavailable) = answers.read::<List>();
    let own = List { items: items(own?), cursor: None, unavailable };
    let pages = others.into_iter().map(|(_, page)| page).chain([own]).collect();
    Ok(answer(StatusCode::OK, &merge::pages(pages, limit)))
}

fn items(found: Vec<Summary>) -> Vec<Delivery> {
    found.into_iter().map(Delivery::from).collect()
}

/// `GET /api/deliveries/{id}`.
pub async fn show(
    State(api): State<Arc<Deliveries>>,
    caller: Caller,
    others: Others,
    Id(id): Id,
) -> Result<Response, ApiError> {
    let Some(detail) = api.store.show(id).await? else { return others.who_has_it().await };
    if !api.guard.allows(&caller, &right_on(Verb::Get, &detail)).await? {
        return Err(ApiError::NotFound);
    }
    Ok(answer(StatusCode::OK, &FullDelivery::from(detail)))
}

/// `POST /api/deliveries/{id}/replay`.
pub async fn replay(
    State(api): State<Arc<Deliveries>>,
    caller: Caller,
    others: Others,
    Id(id): Id,
) -> Result<Response, ApiError> {
    let Some(detail) = api.store.show(id).await? else { return others.who_has_it().await };
    let right = right_on(Verb::Create, &detail);
    if !api.guard.allows(&caller, &right).await? {
        // Who may not even see it does not learn that it is there.
        let may_see = api.guard.allows(&caller, &right_on(Verb::Get, &detail)).await?;
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
    others: Others,
    body: Body,
) -> Result<Response, ApiError> {
    let now = (api.clock)();
    let body = read_body(body, MAX_BODY).await?;
    let filter = query::replay(&body, now)?;
    api.guard.require(&caller, right(Verb::Create, &filter)).await?;
    let others = others.with(body, REPLAY_DEADLINE);
    let (own, answers) = tokio::join!(api.replay_own(&filter, now), others.answers());
    let (replays, mut unavailable) = answers.read::<Replayed>();
    let mut replayed = own?;
    for (_, other) in replays {
        replayed += other.replayed;
        unavailable.extend(other.unavailable);
    }
    Ok(answer(StatusCode::OK, &Replayed { replayed, unavailable }))
}

impl Deliveries {
    async fn replay_own(&self, filter: &Filter, now: Moment) -> Result<u64, StoreError> {
        let (mut replayed, mut cursor) = (0, None);
        loop {
            let step = self.store.replay_all(filter.clone(), cursor, MAX_LIMIT, now).await?;
            replayed += step.count as u64;
            cursor = step.cursor;
            if cursor.is_none() {
                break;
            }
        }
        let Filter { namespace, webhook, .. } = filter;
        tracing::info!(replayed, namespace, webhook, "replayed");
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

pub fn answer(status: StatusCode, value: &impl serde::Serialize) -> Response {
    json(status, value).map(Body::new)
}
