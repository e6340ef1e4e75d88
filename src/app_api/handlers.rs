//! What the app API does: create, list, show and delete.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, State};
use axum::response::Response;
use http::StatusCode;
use http::request::Parts;
use kube::api::ObjectMeta;
use uuid::Uuid;

use super::AppApi;
use super::caller::Caller;
use super::error::ApiError;
use super::generation::Generation;
use super::request::{self, MAX_BODY, NewWebhook};
use super::view::Shown;
use crate::http::{json, read_body};
use crate::plan::Key;
use crate::plan::planner::WebhookView;
use crate::resources::{DEFAULT_MAX_BODY_BYTES, FIELD_MANAGER, Webhook, WebhookSpec};
use crate::routes::path;

/// The label by which Kubernetes knows who made an object.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// The UUID at the end of a path, in any letter case.
pub struct WebhookUuid(Uuid);

impl FromRequestParts<Arc<AppApi>> for WebhookUuid {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<AppApi>) -> Result<Self, ApiError> {
        let path: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, api).await;
        let Path(text) = path.map_err(|_| ApiError::InvalidUuid)?;
        path::uuid(&text).map(Self).map_err(|_| ApiError::InvalidUuid)
    }
}

/// `POST`: makes a webhook of the caller's app.
pub async fn create(
    State(api): State<Arc<AppApi>>,
    Extension(generation): Extension<Generation>,
    caller: Caller,
    body: Body,
) -> Result<Response, ApiError> {
    let new = request::parse(&read_body(body, MAX_BODY).await?, generation)?;
    let name = api.names.next(&caller.app.name, (api.clock)());
    let key = Key::new(caller.app.namespace.clone(), name);
    api.store.create(resource(&caller.app, &key, new)).await?;
    let webhook = api.brain.planner().webhook(&key);
    let webhook = webhook
        .ok_or_else(|| ApiError::Unavailable(format!("webhook {key} went when it was made")))?;
    tracing::info!(webhook = %key, app = %caller.app, "an app made a webhook");
    Ok(shown(generation, &caller, &webhook))
}

/// `GET`: the webhooks of the caller's app, oldest first.
pub async fn list(
    State(api): State<Arc<AppApi>>,
    Extension(generation): Extension<Generation>,
    caller: Caller,
) -> Response {
    let mut webhooks = api.brain.planner().webhooks_of(&caller.app);
    // Of several that claim one UUID only the oldest has it.
    let mut seen = HashSet::with_capacity(webhooks.len());
    webhooks.retain(|webhook| seen.insert(webhook.uuid));
    let environment_id = caller.environment_id;
    let shown: Vec<_> =
        webhooks.iter().map(|webhook| Shown { generation, environment_id, webhook }).collect();
    json(StatusCode::OK, &shown).map(Body::new)
}

/// `GET` with a UUID: one webhook of the caller's app.
pub async fn show(
    State(api): State<Arc<AppApi>>,
    Extension(generation): Extension<Generation>,
    caller: Caller,
    WebhookUuid(uuid): WebhookUuid,
) -> Result<Response, ApiError> {
    Ok(shown(generation, &caller, &found(&api, &caller, uuid)?))
}

/// `DELETE` with a UUID: deletes a webhook of the caller's app.
pub async fn delete(
    State(api): State<Arc<AppApi>>,
    caller: Caller,
    WebhookUuid(uuid): WebhookUuid,
) -> Result<StatusCode, ApiError> {
    let key = found(&api, &caller, uuid)?.input.meta.key;
    api.store.delete(&key).await?;
    tracing::info!(webhook = %key, app = %caller.app, "an app deleted a webhook");
    Ok(StatusCode::NO_CONTENT)
}

fn found(api: &AppApi, caller: &Caller, uuid: Uuid) -> Result<WebhookView, ApiError> {
    api.brain.planner().webhook_of(&caller.app, uuid).ok_or(ApiError::NotFound)
}

fn shown(generation: Generation, caller: &Caller, webhook: &WebhookView) -> Response {
    let environment_id = caller.environment_id;
    json(StatusCode::OK, &Shown { generation, environment_id, webhook }).map(Body::new)
}

/// The resource of a new webhook.
fn resource(app: &Key, key: &Key, new: NewWebhook) -> Webhook {
    let NewWebhook { action, props, user_id } = new;
    let metadata = ObjectMeta {
        namespace: Some(key.namespace.to_string()),
        name: Some(key.name.to_string()),
        labels: Some(BTreeMap::from([(MANAGED_BY.into(), FIELD_MANAGER.into())])),
        ..ObjectMeta::default()
    };
    // Without `..`, so that a new field cannot be forgotten here.
    let spec = WebhookSpec {
        verify: Vec::new(),
        cloud_events_origins: Vec::new(),
        app: app.name.to_string(),
        action,
        props,
        uuid: None,
        user_id,
        suspend: false,
        max_body_bytes: DEFAULT_MAX_BODY_BYTES,
        forward_headers: Vec::new(),
        source_ranges: Vec::new(),
        rate_limit: None,
        dedup: None,
        filter: None,
        delivery: None,
    };
    Webhook { metadata, spec, status: None }
}
