//! The queue's memory: what a 2xx of ours promises is in here, on stable storage, until it has ended.
//!
//! The interface is made for two engines: one embedded, and a replicated log (a stream with a subject
//! for each app and webhook, acknowledgements, redelivery after a delay, message ids for duplicates). What is
//! due is asked for app by app; a lease is what such a log calls the wait for an acknowledgement.

mod delivery;
mod event;
mod history;
pub mod ids;
mod news;
pub mod sqlite;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use uuid::Uuid;

pub use crate::retry::{Next, Reason};
pub use delivery::{Attempted, Body, Lease, Leased, Settled, State, Take, Taken};
pub use event::{Content, DuplicateKey, Form, NewEvent, StoredWebhook};
pub use history::{Detail, Figures, Filter, Replayed, Summary, Tally};
pub use ids::Ids;
pub use news::News;

use crate::moment::Moment;
use crate::routes::AppId;

/// What a store answers, once it is true on stable storage.
pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// Whether an event was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It was, and its delivery is due.
    Stored,
    /// It was not: the event of this id is the same.
    Duplicate(Uuid),
}

/// Why a store did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no room for more; there may be later.
    #[error("the store is full")]
    Full,
    /// The app holds its share of the room; others have room.
    #[error("the app's share of the store is full")]
    AppFull,
    /// This operation cannot be done, whenever it is tried; others are not affected.
    #[error("the store could not do this: {0}")]
    Rejected(Arc<str>),
    /// More is asked of it at once than it can do.
    #[error("the store is busy")]
    Busy,
    /// It failed, and does nothing more until the program is started anew.
    #[error("the store failed: {0}")]
    Failed(Arc<str>),
}

/// The namespace that an app's UUID belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The app's UUID.
    pub uuid: Uuid,
    /// The namespace.
    pub namespace: Arc<str>,
}

/// How long at least an [`Owner`] is known after its app was last seen.
pub const OWNER_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Whether a webhook exists of which the store keeps something. Called on the store's thread: it must not wait for
/// the store.
pub type WebhookExists = Arc<dyn Fn(&StoredWebhook) -> bool + Send + Sync>;

/// How a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It takes events.
    Serving,
    /// It delivers, but takes no event until there is room.
    Full,
    /// It does nothing more, for this reason.
    Failed(Arc<str>),
}

/// An engine that keeps events and their deliveries.
///
/// An operation is done when its future says so, whoever polls it: to drop the future does not undo it.
pub trait Store: fmt::Debug + Send + Sync {
    /// Stores an event, its duplicate key and its first delivery: all of them, or nothing.
    fn accept(&self, event: NewEvent) -> Answer<Accepted>;

    /// Leases deliveries of an app that are due. A lease that ended is no lease.
    fn take(&self, take: Take) -> Answer<Taken>;

    /// The body of an event; `None` when the event is gone.
    fn body(&self, event: Uuid) -> Answer<Option<Bytes>>;

    /// Records an attempt and what follows from it: both, or nothing.
    fn settle(&self, lease: Lease, attempted: Attempted, next: Next) -> Answer<Settled>;

    /// Gives up some of what is undelivered of an app, and says how many: 0 when there is nothing more.
    fn give_up(&self, app: AppId, reason: Reason, now: Moment) -> Answer<usize>;

    /// Which namespace each app UUID belongs to, as recorded by [`Self::record_owners`].
    fn owners(&self) -> Answer<Vec<Owner>>;

    /// Records that these UUIDs belong to these namespaces now, in place of what was recorded. A record is kept
    /// while something of the app is stored, and at least [`OWNER_KEPT`] after it was recorded last.
    fn record_owners(&self, owners: Vec<Owner>, now: Moment) -> Answer<()>;

    /// Deletes what is kept of some webhooks that have no delivery and that do not exist, and of apps without a webhook;
    /// says whether there are more to look at.
    fn prune_webhooks(&self, exists: WebhookExists) -> Answer<bool>;

    /// Which apps have something due. All that have anything are told of when the store was opened.
    fn news(&self) -> Arc<News>;

    /// Deliveries, the latest first, at most `limit` of them; those before `cursor`, where it is given.
    fn list(&self, filter: Filter, cursor: Option<Uuid>, limit: usize) -> Answer<Vec<Summary>>;

    /// Everything about one delivery; `None` when it is not there.
    fn show(&self, id: Uuid) -> Answer<Option<Detail>>;

    /// Begins a new delivery of the same event, with attempts of its own, and says its id; `None` when
    /// the delivery is not there.
    fn replay(&self, id: Uuid, now: Moment) -> Answer<Option<Uuid>>;

    /// Replays what is meant and has ended, latest first, at most `limit` of them; those before
    /// `cursor`, where it is given. Of an event that has an undelivered delivery there is no replay.
    fn replay_all(
        &self,
        filter: Filter,
        cursor: Option<Uuid>,
        limit: usize,
        now: Moment,
    ) -> Answer<Replayed>;

    /// What it holds, in numbers.
    fn figures(&self) -> Figures;

    /// What has become of the deliveries of each webhook that had one. Also of those that are gone.
    fn tallies(&self) -> Answer<Vec<(Arc<StoredWebhook>, Tally)>>;

    /// How it is.
    fn health(&self) -> watch::Receiver<Health>;

    /// Makes the ids of its events.
    fn ids(&self) -> &Ids;
}
