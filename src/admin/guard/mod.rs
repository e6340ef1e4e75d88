//! Authentication and authorization of the admin API.

mod loopback;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use http::Method;
use http::header::CONTENT_TYPE;
use http::request::Parts;

use super::error::AdminError;
use crate::http::{Peer, bearer, peer_of};
use crate::source::{AccessReviewer, Right, User};

/// Access policy of the admin port.
#[derive(Clone)]
pub enum Guard {
    /// Users of the cluster, with the rights that its RBAC grants.
    Cluster(Arc<dyn AccessReviewer>),
    /// Everyone on the local machine. The address is that of the admin port.
    Loopback(SocketAddr),
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster(_) => f.write_str("Cluster"),
            Self::Loopback(address) => f.debug_tuple("Loopback").field(address).finish(),
        }
    }
}

/// An authenticated caller. Each request checks the required rights separately.
pub enum AdminCaller {
    /// A caller on the local machine, with all rights.
    Local,
    /// A user of the cluster, and the address of the client.
    User(User, Peer),
}

impl<S> FromRequestParts<S> for AdminCaller
where
    Guard: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = AdminError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, AdminError> {
        let caller = match Guard::from_ref(state) {
            Guard::Loopback(admin) => {
                loopback::check(parts, peer_of(parts), admin)
                    .map_err(AdminError::ForbiddenOrigin)?;
                Self::Local
            }
            Guard::Cluster(reviewer) => {
                let token = bearer(&parts.headers)?;
                let client = peer_of(parts);
                let user = reviewer.user(token, client).await?;
                Self::User(user.ok_or(AdminError::InvalidToken)?, client)
            }
        };
        // Prevents CSRF: a form of another site cannot send this content type.
        if parts.method == Method::POST && !is_json(parts) {
            return Err(AdminError::NotJson);
        }
        Ok(caller)
    }
}

impl Guard {
    /// Rejects a request that may not even load the public files of the page.
    pub fn admits(&self, parts: &Parts) -> Result<(), AdminError> {
        match self {
            Self::Cluster(_) => Ok(()),
            Self::Loopback(admin) => {
                let local = loopback::local(parts, peer_of(parts), *admin);
                local.map(|_| ()).map_err(AdminError::ForbiddenOrigin)
            }
        }
    }

    /// Whether a caller has a right.
    pub async fn allows(&self, caller: &AdminCaller, right: &Right) -> Result<bool, AdminError> {
        match (self, caller) {
            (Self::Cluster(reviewer), AdminCaller::User(user, client)) => {
                Ok(reviewer.allows(user, right, *client).await?)
            }
            (Self::Loopback(_), AdminCaller::Local) => Ok(true),
            // Unreachable: a guard authenticates only its own kind of callers.
            _ => Ok(false),
        }
    }

    /// Rejects a caller without a right.
    pub async fn require(&self, caller: &AdminCaller, right: Right) -> Result<(), AdminError> {
        if self.allows(caller, &right).await? { Ok(()) } else { Err(AdminError::Forbidden(right)) }
    }
}

fn is_json(parts: &Parts) -> bool {
    let value = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}
