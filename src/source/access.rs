//! What the delivery API needs of a cluster: who calls, and what the caller may do.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;

use super::StoreError;
use crate::http::Peer;

/// Somebody whom the cluster knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct User {
    /// The name.
    pub name: String,
    /// Tells users of one name apart.
    pub uid: Option<String>,
    /// The groups.
    pub groups: Vec<String>,
    /// What else an authenticator says of the user.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// What is done to deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Many are read.
    List,
    /// One is read with its body.
    Get,
    /// New ones are begun: a replay.
    Create,
}

impl Verb {
    /// As roles name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Get => "get",
            Self::Create => "create",
        }
    }
}

/// A right on `webhooks/deliveries` of `lenra.io`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Right {
    /// What is done.
    pub verb: Verb,
    /// In which namespace; `None` in all of them.
    pub namespace: Option<String>,
    /// With which webhook's deliveries; `None` with those of all.
    pub webhook: Option<String>,
}

/// Asks the cluster about callers (TokenReview, SubjectAccessReview).
pub trait AccessReviewer: Send + Sync {
    /// Whose token it is that a client presents; `None` when it is nobody's.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the cluster could not be asked.
    fn user<'a>(
        &'a self,
        token: &'a str,
        client: Peer,
    ) -> BoxFuture<'a, Result<Option<User>, StoreError>>;

    /// Whether a user has a right.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the cluster could not be asked.
    fn allows<'a>(
        &'a self,
        user: &'a User,
        right: &'a Right,
        client: Peer,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;
}
