//! Who calls: from a bearer token to the one app that the caller acts for.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use uuid::Uuid;

use super::AppApi;
use super::error::ApiError;
use crate::app_token::{Subject, TokenError};
use crate::http::{Peer, peer_of};
use crate::plan::{Key, Planner};
use crate::source::Account;

/// Names the app, where the caller's ServiceAccount may act for several.
pub const WEBHOOK_APP_UUID: HeaderName = HeaderName::from_static("webhook-app-uuid");

/// The app that a request was authenticated as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Namespace and name of the app.
    pub app: Key,
    /// `spec.environmentId` of the app.
    pub environment_id: i64,
}

impl FromRequestParts<Arc<AppApi>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<AppApi>) -> Result<Self, ApiError> {
        let token = crate::http::bearer(&parts.headers)?;
        match api.tokens.verify(token, (api.clock)()) {
            Ok(subject) => of_token(&api.brain.planner(), subject),
            // What has our form is ours, good or not: nobody else is asked about it.
            Err(TokenError::Forged | TokenError::Expired) => Err(ApiError::InvalidToken),
            Err(TokenError::Malformed) => {
                let account = review(api, token, peer_of(parts)).await?;
                of_account(&api.brain.planner(), &account, named_app(&parts.headers))
            }
        }
    }
}

/// The app of a token, as long as it is the one that the token was issued for: not another one of the same name,
/// and not after its tokens were revoked.
fn of_token(planner: &Planner, subject: Subject) -> Result<Caller, ApiError> {
    let app = planner.app(&subject.app).filter(|app| app.instance == subject.instance);
    app.ok_or(ApiError::InvalidToken)?;
    existing(planner, subject.app)
}

async fn review(api: &AppApi, token: &str, client: Peer) -> Result<Account, ApiError> {
    let reviewer = api.reviewer.as_ref().ok_or(ApiError::InvalidToken)?;
    reviewer.review(token, client).await?.ok_or(ApiError::InvalidToken)
}

/// The UUID that the request names; `Some(None)` when what it names is no UUID.
fn named_app(headers: &HeaderMap) -> Option<Option<Uuid>> {
    let value = headers.get(WEBHOOK_APP_UUID)?;
    Some(value.to_str().ok().and_then(|text| Uuid::try_parse(text).ok()))
}

fn of_account(
    planner: &Planner,
    account: &Account,
    named: Option<Option<Uuid>>,
) -> Result<Caller, ApiError> {
    let apps = planner.apps_of_account(&account.namespace, &account.name);
    let refusal = if apps.len() > 1 { ApiError::AmbiguousApp } else { ApiError::InvalidToken };
    let mut candidates = apps.into_iter().filter(|app| match named {
        None => true,
        // One that is named must be the one, even where there is no other.
        Some(uuid) => uuid.is_some() && planner.app_uuid(app) == uuid,
    });
    match (candidates.next(), candidates.next()) {
        (Some(app), None) => existing(planner, app),
        _ => Err(refusal),
    }
}

fn existing(planner: &Planner, app: Key) -> Result<Caller, ApiError> {
    let spec = &planner.app(&app).ok_or(ApiError::InvalidToken)?.spec;
    match spec {
        Ok(spec) => Ok(Caller { app, environment_id: spec.environment_id }),
        Err(why) => Err(ApiError::Unavailable(format!("WebhookApp {app} cannot be read: {why}"))),
    }
}
