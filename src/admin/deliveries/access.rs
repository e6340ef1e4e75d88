//! Who calls the delivery API, and what the caller may do.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::Method;
use http::header::CONTENT_TYPE;
use http::request::Parts;

use super::error::ApiError;
use super::loopback;
use super::{Deliveries, Guard};
use crate::http::{Peer, bearer};
use crate::source::{Right, User};

/// Somebody who may call; what may be done is asked for each time.
pub enum Caller {
    /// Somebody on this machine, who may do everything.
    Local,
    /// Somebody whom the cluster knows.
    User(User),
}

impl FromRequestParts<Arc<Deliveries>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        api: &Arc<Deliveries>,
    ) -> Result<Self, ApiError> {
        let caller = match &api.guard {
            Guard::Loopback(admin) => {
                let peer = parts.extensions.get::<Peer>().copied().flatten();
                loopback::check(parts, peer, *admin).map_err(ApiError::Foreign)?;
                Self::Local
            }
            Guard::Cluster(reviewer) => {
                let token = bearer(&parts.headers)?;
                Self::User(reviewer.user(token).await?.ok_or(ApiError::InvalidToken)?)
            }
        };
        // What a form of another site can send is never of this type.
        if parts.method == Method::POST && !is_json(parts) {
            return Err(ApiError::NotJson);
        }
        Ok(caller)
    }
}

impl Deliveries {
    /// Whether a caller has a right.
    pub async fn allows(&self, caller: &Caller, right: &Right) -> Result<bool, ApiError> {
        match (&self.guard, caller) {
            (Guard::Cluster(reviewer), Caller::User(user)) => {
                Ok(reviewer.allows(user, right).await?)
            }
            (Guard::Loopback(_), Caller::Local) => Ok(true),
            // No guard lets in such a caller.
            _ => Ok(false),
        }
    }

    /// Refuses a caller who lacks a right.
    pub async fn require(&self, caller: &Caller, right: Right) -> Result<(), ApiError> {
        if self.allows(caller, &right).await? { Ok(()) } else { Err(ApiError::Forbidden(right)) }
    }
}

fn is_json(parts: &Parts) -> bool {
    let value = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}
