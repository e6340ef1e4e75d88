//! The interface of the delivery API to a cluster: authenticates and authorizes callers.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;

use super::StoreError;
use crate::http::Peer;

/// An authenticated user of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct User {
    /// The name.
    pub name: String,
    /// Distinguishes users with the same name.
    pub uid: Option<String>,
    /// The groups.
    pub groups: Vec<String>,
    /// Further attributes set by the authenticator.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// An action on deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Read many.
    List,
    /// Read one, with its body.
    Get,
    /// Create deliveries: a replay.
    Create,
}

impl Verb {
    /// The verb in RBAC rules.
    pub fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Get => "get",
            Self::Create => "create",
        }
    }
}

/// A permission on `webhooks/deliveries` of `lenra.io`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Right {
    /// The action.
    pub verb: Verb,
    /// The namespace; `None` for all.
    pub namespace: Option<String>,
    /// The webhook; `None` for all.
    pub webhook: Option<String>,
}

/// Reviews callers with the cluster (TokenReview, SubjectAccessReview).
pub trait AccessReviewer: Send + Sync {
    /// The user of a client's token; `None` if the token is not valid.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the review failed.
    fn user<'a>(
        &'a self,
        token: &'a str,
        client: Peer,
    ) -> BoxFuture<'a, Result<Option<User>, StoreError>>;

    /// Whether a user has a permission.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the review failed.
    fn allows<'a>(
        &'a self,
        user: &'a User,
        right: &'a Right,
        client: Peer,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;
}
