//! Authentication: maps a bearer token to the app that the caller acts for.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use uuid::Uuid;

use super::AppApi;
use super::error::AppApiError;
use crate::app_token::{Subject, TokenError};
use crate::http::{Peer, peer_of};
use crate::plan::{Key, Planner};
use crate::source::Account;

/// Selects the app, if the caller's ServiceAccount may act for several.
pub const WEBHOOK_APP_UUID: HeaderName = HeaderName::from_static("webhook-app-uuid");

/// The app that a request was authenticated as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiCaller {
    /// Namespace and name of the app.
    pub app: Key,
    /// `spec.environmentId` of the app.
    pub environment_id: i64,
}

impl FromRequestParts<Arc<AppApi>> for ApiCaller {
    type Rejection = AppApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<AppApi>) -> Result<Self, AppApiError> {
        let token = crate::http::bearer(&parts.headers)?;
        match api.tokens.verify(token, (api.clock)()) {
            Ok(subject) => caller_from_token(&api.runner.planner(), subject),
            // A token in the operator's own form is never sent to the API server for review.
            Err(TokenError::Forged | TokenError::Expired) => Err(AppApiError::InvalidToken),
            Err(TokenError::Malformed) => {
                let account = review(api, token, peer_of(parts)).await?;
                caller_from_account(&api.runner.planner(), &account, selected_app(&parts.headers))
            }
        }
    }
}

/// The app of a token, if it is still the instance that the token was issued for: not a later app
/// of the same name, and not after its tokens were revoked.
fn caller_from_token(planner: &Planner, subject: Subject) -> Result<ApiCaller, AppApiError> {
    let app = planner.app(&subject.app).filter(|app| app.instance == subject.instance);
    app.ok_or(AppApiError::InvalidToken)?;
    caller_of(planner, subject.app)
}

async fn review(api: &AppApi, token: &str, client: Peer) -> Result<Account, AppApiError> {
    let reviewer = api.reviewer.as_ref().ok_or(AppApiError::InvalidToken)?;
    reviewer.review(token, client).await?.ok_or(AppApiError::InvalidToken)
}

/// The UUID in the request's header; `Some(None)` if the header is not a UUID.
fn selected_app(headers: &HeaderMap) -> Option<Option<Uuid>> {
    let value = headers.get(WEBHOOK_APP_UUID)?;
    Some(value.to_str().ok().and_then(|text| Uuid::try_parse(text).ok()))
}

fn caller_from_account(
    planner: &Planner,
    account: &Account,
    named: Option<Option<Uuid>>,
) -> Result<ApiCaller, AppApiError> {
    let apps = planner.apps_of_account(&account.namespace, &account.name);
    let refusal =
        if apps.len() > 1 { AppApiError::AmbiguousApp } else { AppApiError::InvalidToken };
    let mut candidates = apps.into_iter().filter(|app| match named {
        None => true,
        // A selected app must match, even if it is the only candidate.
        Some(uuid) => uuid.is_some() && planner.app_uuid(app) == uuid,
    });
    match (candidates.next(), candidates.next()) {
        (Some(app), None) => caller_of(planner, app),
        _ => Err(refusal),
    }
}

fn caller_of(planner: &Planner, app: Key) -> Result<ApiCaller, AppApiError> {
    let spec = &planner.app(&app).ok_or(AppApiError::InvalidToken)?.spec;
    match spec {
        Ok(spec) => Ok(ApiCaller { app, environment_id: spec.environment_id }),
        Err(why) => {
            Err(AppApiError::Unavailable(format!("WebhookApp {app} cannot be read: {why}")))
        }
    }
}
