//! Durable storage of the queue. An event that was acknowledged with a 2xx is on stable storage
//! until its delivery has succeeded or is dead.
//!
//! The interface fits an embedded engine as well as a replicated log (a stream with a subject for
//! each app and webhook, acknowledgements, delayed redelivery, message ids for deduplication): due
//! deliveries are fetched per app, and a lease corresponds to the acknowledgement timeout of such a
//! log.

mod delivery;
mod due_apps;
mod event;
mod history;
pub mod ids;
pub mod sqlite;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use uuid::Uuid;

pub use crate::event::Form;
pub use crate::retry::{DeadReason, Next};
pub use delivery::{Attempted, Body, DeliveryState, Lease, Leased, Settled, Take, Taken};
pub use due_apps::DueApps;
pub use event::{Content, DuplicateKey, NewEvent, StoredWebhook};
pub use history::{Detail, Figures, Filter, Replayed, Summary, Tally};
pub use ids::Ids;

use crate::moment::Moment;
use crate::routes::AppId;

/// The result of an operation. It resolves after the write has reached stable storage.
pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// Whether an event was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// The event was stored, and its delivery is due.
    Stored,
    /// The event is a duplicate of the stored event with this id, and was not stored.
    Duplicate(Uuid),
}

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
    /// The queue of operations is full, or the database is locked. Retrying later may succeed.
    #[error("the store is busy")]
    Busy,
    /// The store failed, and rejects all operations until the process is restarted.
    #[error("the store failed: {0}")]
    Failed(Arc<str>),
}

/// The namespace that owns an app UUID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The app's UUID.
    pub uuid: Uuid,
    /// The namespace.
    pub namespace: Arc<str>,
}

/// Minimum time that an [`Owner`] is kept after it was last recorded.
pub const OWNER_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Reports whether a stored webhook still exists as a resource. It is called on the store's thread,
/// so it must not wait for the store.
pub type WebhookExists = Arc<dyn Fn(&StoredWebhook) -> bool + Send + Sync>;

/// Health of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// The store accepts events.
    Serving,
    /// The store rejects new events until space is free. Deliveries continue.
    Full,
    /// The store failed with this error, and rejects all operations.
    Failed(Arc<str>),
}

/// A storage engine for events and their deliveries.
///
/// An operation runs even if its future is not polled, and dropping the future does not undo it.
pub trait Store: fmt::Debug + Send + Sync {
    /// Stores an event, its duplicate key and its first delivery, atomically.
    fn accept(&self, event: NewEvent) -> Answer<Accepted>;

    /// Leases due deliveries of an app. A delivery with an expired lease can be leased again.
    fn take(&self, take: Take) -> Answer<Taken>;

    /// Reads the body of an event; `None` if the event was deleted.
    fn body(&self, event: Uuid) -> Answer<Option<Bytes>>;

    /// Records an attempt and the delivery's next state, atomically.
    fn settle(&self, lease: Lease, attempted: Attempted, next: Next) -> Answer<Settled>;

    /// Marks some undelivered deliveries of an app as dead. Returns how many; 0 if none is left.
    fn give_up(&self, app: AppId, reason: DeadReason, now: Moment) -> Answer<usize>;

    /// Returns the owners recorded by [`Self::record_owners`].
    fn owners(&self) -> Answer<Vec<Owner>>;

    /// Records owners of app UUIDs, and overwrites existing records of these UUIDs. A record is
    /// kept while the store has data of the app, and for at least [`OWNER_KEPT`] after it was last
    /// recorded.
    fn record_owners(&self, owners: Vec<Owner>, now: Moment) -> Answer<()>;

    /// Checks a batch of webhooks, and deletes those that have no delivery and no resource, as well
    /// as apps without a webhook. Returns whether more webhooks are left to check.
    fn prune_webhooks(&self, exists: WebhookExists) -> Answer<bool>;

    /// The apps with due deliveries. On opening, it contains every app with an undelivered
    /// delivery.
    fn due_apps(&self) -> Arc<DueApps>;

    /// Lists at most `limit` deliveries, latest first, starting before `cursor` if it is set.
    fn list(&self, filter: Filter, cursor: Option<Uuid>, limit: usize) -> Answer<Vec<Summary>>;

    /// Reads one delivery in full; `None` if it does not exist.
    fn show(&self, id: Uuid) -> Answer<Option<Detail>>;

    /// Creates a new delivery of the same event, with its own attempts, and returns its id; `None`
    /// if the delivery does not exist.
    fn replay(&self, id: Uuid, now: Moment) -> Answer<Option<Uuid>>;

    /// Replays the succeeded and dead deliveries that match the filter. Examines at most `limit`
    /// deliveries, latest first, starting before `cursor` if it is set. An event with an
    /// undelivered delivery is not replayed.
    fn replay_all(
        &self,
        filter: Filter,
        cursor: Option<Uuid>,
        limit: usize,
        now: Moment,
    ) -> Answer<Replayed>;

    /// Size and load of the store.
    fn figures(&self) -> Figures;

    /// Delivery counts of each webhook that had a delivery, including deleted webhooks.
    fn tallies(&self) -> Answer<Vec<(Arc<StoredWebhook>, Tally)>>;

    /// Watches the health of the store.
    fn health(&self) -> watch::Receiver<Health>;

    /// The generator of event ids.
    fn ids(&self) -> &Ids;
}
