//! The handlers of the app API: create, list, show and delete.

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
use super::caller::ApiCaller;
use super::error::AppApiError;
use super::generation::Generation;
use super::request::{self, MAX_BODY, NewWebhook};
use super::view::WebhookJson;
use crate::http::{json, read_body};
use crate::plan::Key;
use crate::plan::planner::WebhookView;
use crate::resources::{FIELD_MANAGER, Webhook, WebhookSpec};
use crate::routes::path;

/// The standard label for the tool that manages an object.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// The UUID at the end of a path, in upper or lower case.
pub struct WebhookUuid(Uuid);

impl FromRequestParts<Arc<AppApi>> for WebhookUuid {
    type Rejection = AppApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<AppApi>) -> Result<Self, AppApiError> {
        let path: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, api).await;
        let Path(text) = path.map_err(|_| AppApiError::InvalidUuid)?;
        path::uuid(&text).map(Self).map_err(|_| AppApiError::InvalidUuid)
    }
}

/// `POST`: creates a webhook of the caller's app.
pub async fn create(
    State(api): State<Arc<AppApi>>,
    Extension(generation): Extension<Generation>,
    caller: ApiCaller,
    body: Body,
) -> Result<Response, AppApiError> {
    let new = request::parse(&read_body(body, MAX_BODY).await?, generation)?;
    let name = api.names.next(&caller.app.name, (api.clock)());
    let key = Key::new(caller.app.namespace.clone(), name);
    api.store.create(resource(&caller.app, &key, new)).await?;
    let webhook = api.runner.planner().webhook(&key);
    let webhook = webhook.ok_or_else(|| {
        AppApiError::Unavailable(format!("webhook {key} disappeared after its creation"))
    })?;
    tracing::info!(webhook = %key, app = %caller.app, "app created a webhook");
    Ok(webhook_response(generation, &caller, &webhook))
}

/// `GET`: the webhooks of the caller's app, oldest first.
pub async fn list(
    State(api): State<Arc<AppApi>>,
    Extension(generation): Extension<Generation>,
    caller: ApiCaller,
) -> Response {
    let mut webhooks = api.runner.planner().webhooks_of(&caller.app);
    // If several webhooks claim the same UUID, only the oldest gets it.
    let mut seen = HashSet::with_capacity(webhooks.len());
    webhooks.retain(|webhook| seen.insert(webhook.uuid));
    let environment_id = caller.environment_id;
    let webhooks: Vec<_> = webhooks
        .iter()
        .map(|webhook| WebhookJson { generation, environment_id, webhook })
        .collect();
    json(StatusCode::OK, &webhooks).map(Body::new)
}

/// `GET` with a UUID: one webhook of the caller's app.
pub async fn show(
    State(api): State<Arc<AppApi>>,
    Extension(generation): Extension<Generation>,
    caller: ApiCaller,
    WebhookUuid(uuid): WebhookUuid,
) -> Result<Response, AppApiError> {
    Ok(webhook_response(generation, &caller, &find(&api, &caller, uuid)?))
}

/// `DELETE` with a UUID: deletes a webhook of the caller's app.
pub async fn delete(
    State(api): State<Arc<AppApi>>,
    caller: ApiCaller,
    WebhookUuid(uuid): WebhookUuid,
) -> Result<StatusCode, AppApiError> {
    let key = find(&api, &caller, uuid)?.input.meta.key;
    api.store.delete(&key).await?;
    tracing::info!(webhook = %key, app = %caller.app, "app deleted a webhook");
    Ok(StatusCode::NO_CONTENT)
}

fn find(api: &AppApi, caller: &ApiCaller, uuid: Uuid) -> Result<WebhookView, AppApiError> {
    api.runner.planner().webhook_of(&caller.app, uuid).ok_or(AppApiError::NotFound)
}

fn webhook_response(generation: Generation, caller: &ApiCaller, webhook: &WebhookView) -> Response {
    let environment_id = caller.environment_id;
    json(StatusCode::OK, &WebhookJson { generation, environment_id, webhook }).map(Body::new)
}

/// Builds the resource of a new webhook.
fn resource(app: &Key, key: &Key, new: NewWebhook) -> Webhook {
    let NewWebhook { action, props, user_id } = new;
    let metadata = ObjectMeta {
        namespace: Some(key.namespace.to_string()),
        name: Some(key.name.to_string()),
        labels: Some(BTreeMap::from([(MANAGED_BY.into(), FIELD_MANAGER.into())])),
        ..ObjectMeta::default()
    };
    // Without `..`, so that the compiler points here when a field is added.
    let spec = WebhookSpec {
        verify: Vec::new(),
        cloud_events_origins: Vec::new(),
        app: app.name.to_string(),
        action,
        props,
        uuid: None,
        user_id,
        suspend: false,
        max_body_bytes: None,
        body: None,
        forward_headers: Vec::new(),
        forward_query: false,
        source_ranges: Vec::new(),
        rate_limit: None,
        dedup: None,
        filter: None,
        transform: None,
        delivery: None,
        response: None,
        probes: Vec::new(),
    };
    Webhook { metadata, spec, status: None }
}
