//! The work queue: what the trigger path, the dispatcher and maintenance need of a store.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    Attempted, DeadReason, DueApps, Ids, Lease, NewEvent, Next, Owner, Settled, StoreFuture,
    StoredWebhook, Take, Taken,
};
use crate::moment::Moment;
use crate::routes::AppId;

/// How many waiting deliveries a new event makes pending, oldest first, after its webhook was
/// changed from `Fifo` to `Parallel`. Bounds the work of one [`Queue::accept`].
pub const PROMOTE_BATCH: usize = 100;

/// Whether an event was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// The event was stored, and its delivery is due.
    Stored,
    /// The event is a duplicate of the stored event with this id, and was not stored.
    Duplicate(Uuid),
    /// The event repeats the stored event with this id, of which no delivery is under way: that one
    /// is delivered again, and this one was not stored.
    Replayed(Uuid),
    /// The event is one that is not to be stored, and no duplicate.
    Refused,
}

/// Health of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// The store accepts events.
    Serving,
    /// The store rejects new events until space is free. Deliveries continue.
    Full,
    /// The store cannot be used at this time, for this reason. It recovers automatically.
    Unavailable(Arc<str>),
    /// The store failed with this error, and rejects all operations.
    Failed(Arc<str>),
}

/// Reports whether a stored webhook still exists as a resource. An engine may call it on any
/// thread, for many webhooks in a row and in the middle of an operation, so it must return at once
/// and must not use the store.
pub type WebhookExists = Arc<dyn Fn(&StoredWebhook) -> bool + Send + Sync>;

/// The queue of events and their deliveries.
///
/// # Guarantees
/// - Every write is atomic, and on stable storage when its future resolves with `Ok`. After an
///   error, nothing was written, except after [`super::StoreError::Failed`], when the outcome is unknown
///   until the next start, and after [`super::StoreError::Unavailable`], when it is unknown.
/// - An operation runs even if its future is not polled, and dropping the future does not undo it.
/// - A delivery is leased to one caller at a time. After a crash, every delivery that was neither
///   settled nor given up can be leased again, at the latest when its lease expires.
/// - While a webhook is `Fifo`, its deliveries become pending one after the other, in the order in
///   which they were stored. In an engine of one process, that is the order of their ids.
/// - If several replicas share the store, all of this holds over all of them.
///
/// # Errors
/// Every operation can fail with [`super::StoreError::Busy`], [`super::StoreError::Unavailable`] or
/// [`super::StoreError::Failed`]; others are named at the operation.
pub trait Queue: fmt::Debug + Send + Sync {
    /// Stores an event, its duplicate key and its first delivery, atomically. Also updates the
    /// stored snapshot of the webhook.
    ///
    /// If an event with the same key was stored within the window, and is still stored, the
    /// new one is a repetition. If all deliveries of the first event are dead (or succeeded, where
    /// [`crate::verify::Repeats::ByHand`]), a new delivery of it is made, as by
    /// [`super::History::replay`]; it has the id of the new event. Otherwise the repetition is
    /// dropped. Of events with the same key that are accepted at the same time, one is delivered.
    ///
    /// With [`NewEvent::is_refused`], nothing is stored or delivered: a repetition that would be
    /// dropped is a duplicate, and everything else is refused.
    ///
    /// # Errors
    /// [`super::StoreError::Full`] and [`super::StoreError::AppFull`]: there is no space for the event.
    /// [`super::StoreError::Rejected`]: an event with this id is stored already.
    fn accept(&self, event: NewEvent) -> StoreFuture<Accepted>;

    /// Leases due deliveries of an app, by due time. A delivery with an expired lease can be leased
    /// again. Without due deliveries, nothing is leased.
    fn take(&self, take: Take) -> StoreFuture<Taken>;

    /// Reads the body of an event; `None` if the event was deleted.
    fn body(&self, event: Uuid) -> StoreFuture<Option<Bytes>>;

    /// Records an attempt and the delivery's next state, atomically, if the lease is the latest one
    /// of its delivery. An expired lease is valid until the delivery is leased again, so that the
    /// result of a late attempt is not lost. If a webhook's last pending delivery has finished, its
    /// oldest waiting one becomes pending.
    ///
    /// After [`super::StoreError::Busy`], [`super::StoreError::Unavailable`] and [`super::StoreError::Full`],
    /// the caller may record the attempt again with the same lease. If it was recorded the first time, the
    /// second one is [`Settled::Stale`].
    fn settle(&self, lease: Lease, attempted: Attempted, next: Next) -> StoreFuture<Settled>;

    /// Marks some undelivered deliveries of an app as dead, and ends their leases. Returns how
    /// many; 0 if none is left.
    fn give_up(&self, app: AppId, reason: DeadReason, now: Moment) -> StoreFuture<usize>;

    /// Returns the owners recorded by [`Self::record_owners`].
    fn owners(&self) -> StoreFuture<Vec<Owner>>;

    /// Records owners of app UUIDs, and overwrites existing records of these UUIDs. A record is
    /// kept while the store has data of the app, and for at least [`super::OWNER_KEPT`] after it
    /// was last recorded.
    fn record_owners(&self, owners: Vec<Owner>, now: Moment) -> StoreFuture<()>;

    /// Checks a batch of webhooks, and deletes those that have no delivery and no resource, as well
    /// as apps without a webhook. Returns whether more webhooks are left to check; the next call
    /// continues with them.
    fn prune_webhooks(&self, exists: WebhookExists) -> StoreFuture<bool>;

    /// The apps with due deliveries. On opening, it contains every app with an undelivered
    /// delivery. Later it is notified of each delivery that becomes pending or is to be retried.
    /// [`Taken::next_due`] covers the deliveries that [`Self::take`] left.
    fn due_apps(&self) -> Arc<DueApps>;

    /// Watches the health of the store.
    fn health(&self) -> watch::Receiver<Health>;

    /// The generator of event ids. Its ids are greater than all ids that were stored when the store
    /// was opened.
    fn ids(&self) -> &Ids;
}
