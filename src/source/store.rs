//! What the app API needs of a source: to make and to delete webhooks.

use futures_util::future::BoxFuture;

use crate::http::Peer;
use crate::plan::Key;
use crate::resources::Webhook;

/// Why a webhook could not be made or deleted.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such webhook.
    #[error("there is no such webhook")]
    NotFound,
    /// It stands in a manifest, which only a person can edit.
    #[error("the webhook is declared in a manifest")]
    Declared,
    /// The schema or a CEL rule refuses it; the text says why.
    #[error("{0}")]
    Invalid(String),
    /// The API server or the disk failed; the text is for the log, not for the caller.
    #[error("{0}")]
    Unavailable(String),
}

/// Makes and deletes webhooks where resources are kept.
pub trait WebhookStore: Send + Sync {
    /// Makes a webhook. When this returns, it is durable and the brain knows it.
    fn create(&self, webhook: Webhook) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Deletes a webhook. When this returns, its URL answers 404 here.
    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<(), StoreError>>;
}

/// Whom a bearer token of the cluster belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The ServiceAccount's namespace.
    pub namespace: String,
    /// The ServiceAccount's name.
    pub name: String,
}

/// Asks the cluster about a token (TokenReview, audience `webhook-operator`).
pub trait TokenReviewer: Send + Sync {
    /// The ServiceAccount of a token that a client presents; `None` when the token is not valid for this audience.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the cluster could not be asked.
    fn review<'a>(
        &'a self,
        token: &'a str,
        client: Peer,
    ) -> BoxFuture<'a, Result<Option<Account>, StoreError>>;
}
