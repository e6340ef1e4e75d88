//! The interface of the app API to a source: create and delete webhooks, review tokens.

use futures_util::future::BoxFuture;

use crate::http::Peer;
use crate::plan::Key;
use crate::resources::Webhook;

/// Why a webhook could not be created or deleted.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The webhook does not exist.
    #[error("the webhook does not exist")]
    NotFound,
    /// It is declared in a manifest, which only users edit.
    #[error("the webhook is declared in a manifest")]
    Declared,
    /// The schema or a CEL rule rejects it; the text says why.
    #[error("{0}")]
    Invalid(String),
    /// The API server or the disk failed. The text is for the log, not for the caller.
    #[error("{0}")]
    Unavailable(String),
}

/// Creates and deletes webhooks in the source.
pub trait WebhookStore: Send + Sync {
    /// Creates a webhook. When this returns, it is durable and the runner has applied it.
    fn create(&self, webhook: Webhook) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Deletes a webhook. When this returns, this process answers 404 for its URL.
    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<(), StoreError>>;
}

/// The ServiceAccount that a bearer token authenticates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The ServiceAccount's namespace.
    pub namespace: String,
    /// The ServiceAccount's name.
    pub name: String,
}

/// Reviews tokens with the cluster (TokenReview, audience `webhook-operator`).
pub trait TokenReviewer: Send + Sync {
    /// The ServiceAccount of a client's token; `None` if the token is not valid for this audience.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the review failed.
    fn review<'a>(
        &'a self,
        token: &'a str,
        client: Peer,
    ) -> BoxFuture<'a, Result<Option<Account>, StoreError>>;
}
