//! Durable storage of the queue. An event that was acknowledged with a 2xx is on stable storage
//! until its delivery has succeeded or is dead.
//!
//! The interface has two parts: [`Queue`] and [`History`]. It fits an embedded engine as well as a
//! database or a replicated log that several replicas share: due deliveries are fetched per app,
//! and a lease corresponds to the acknowledgement timeout of such a log. An engine is one folder
//! here; `tests/it/store/engines.rs` lists the contract tests that it has to pass.

mod delivery;
mod due_apps;
mod event;
mod headers;
mod history;
pub mod ids;
mod metrics;
mod owner;
pub mod postgres;
mod queue;
mod repetition;
pub mod sqlite;

use std::pin::Pin;
use std::sync::Arc;

pub use crate::event::Form;
pub use crate::retry::{DeadReason, Next};
pub use delivery::{
    Attempted, Body, DeliveryState, INLINE_BODY_BYTES, Lease, Leased, Settled, Take, Taken,
};
pub use due_apps::DueApps;
pub use event::{Content, DuplicateKey, NewEvent, StoredWebhook};
pub use history::{Detail, Filter, History, HistoryScope, Replayed, SHOWN_BODY_BYTES, Summary};
pub use ids::Ids;
pub use metrics::{StoreMetrics, Tally};
pub use owner::{OWNER_KEPT, Owner};
pub use queue::{Accepted, Health, PROMOTE_BATCH, Queue, WebhookExists};

/// The result of an operation of a store.
pub type StoreFuture<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store has no free space. Retrying later may succeed.
    #[error("the store is full")]
    Full,
    /// The app or its namespace has used up its share. Other apps are not affected.
    #[error("the app's share of the store is full")]
    AppFull,
    /// The operation is invalid, and retrying it fails again. Other operations are not affected.
    #[error("the store rejected the operation: {0}")]
    Rejected(Arc<str>),
    /// The store cannot run the operation at this time, and has changed nothing. Retrying later may
    /// succeed.
    #[error("the store is busy")]
    Busy,
    /// The store cannot be reached, or does not accept writes at this time. A write may have been
    /// made or not. Retrying later may succeed.
    #[error("the store is unavailable: {0}")]
    Unavailable(Arc<str>),
    /// The store failed, and rejects all operations until the process is restarted.
    #[error("the store failed: {0}")]
    Failed(Arc<str>),
}

/// A storage engine. Users take the trait that they need; this one is for the places that open an
/// engine and start its users.
pub trait Store: Queue + History {}

impl<T: Queue + History> Store for T {}
