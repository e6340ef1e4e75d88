//! The delivery history: what users, statuses and metrics need of a store.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use uuid::Uuid;

use super::{
    Attempted, DeadReason, DeliveryState, StoreFuture, StoreMetrics, StoredWebhook, Tally,
};
use crate::event::Form;
use crate::moment::Moment;

/// Maximum length of [`Detail::body`], in bytes.
pub const SHOWN_BODY_BYTES: usize = 64 * 1024;

/// Selects deliveries. A delivery matches if it meets every condition that is not `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Namespace of the webhook.
    pub namespace: Option<String>,
    /// Name of the webhook.
    pub webhook: Option<String>,
    /// State of the delivery. [`DeliveryState::Pending`] also matches [`DeliveryState::Waiting`].
    pub state: Option<DeliveryState>,
    /// Earliest creation time (inclusive).
    pub since: Option<Moment>,
    /// Latest creation time (exclusive).
    pub until: Option<Moment>,
}

/// A delivery in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The delivery's id. It contains the delivery's creation time.
    pub id: Uuid,
    /// The event's id.
    pub event: Uuid,
    /// 1 for the first delivery of an event, 2 for its first replay.
    pub generation: u32,
    /// The webhook.
    pub webhook: Arc<StoredWebhook>,
    /// The state of the delivery.
    pub state: DeliveryState,
    /// Why the delivery is dead.
    pub reason: Option<DeadReason>,
    /// Number of recorded attempts.
    pub attempts: u32,
    /// When the next attempt is due. Only set while the delivery is pending.
    pub due: Option<Moment>,
    /// When the delivery succeeded or died.
    pub finished: Option<Moment>,
    /// Status code of the listener's last response.
    pub last_status: Option<u16>,
}

/// A delivery in full, with the beginning of its event's body.
#[derive(Clone, Debug)]
pub struct Detail {
    /// The fields shown in a list.
    pub summary: Summary,
    /// The attempts, oldest first.
    pub attempts: Vec<Attempted>,
    /// The content type of the event.
    pub content_type: Option<String>,
    /// The headers that are passed on to the listener, and the inputs of a transform.
    pub headers: HeaderMap,
    /// How the body is converted to the JSON of `event`.
    pub form: Form,
    /// Length of the event's body in bytes.
    pub body_bytes: u64,
    /// The first [`SHOWN_BODY_BYTES`] of the event's body.
    pub body: Bytes,
}

/// The result of a replay by filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Number of replayed deliveries.
    pub count: usize,
    /// Where to continue: the lowest id examined. `None` if no deliveries are left.
    pub cursor: Option<Uuid>,
}

/// Whose deliveries a history contains. It is a property of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryScope {
    /// Those of the events that this replica accepted: each replica has a store of its own. The
    /// history of all replicas is merged from the answers of each.
    ThisReplica,
    /// Those of all replicas, which share the store. Any of them answers for all, and asking others
    /// would count each delivery several times.
    AllReplicas,
}

/// The deliveries of a store, finished ones included, and their replay.
///
/// # Guarantees
/// - A finished delivery can be read until its retention ends, or its space is needed for new
///   events.
/// - A replay is atomic, and on stable storage when its future resolves with `Ok`. An operation
///   runs even if its future is not polled, and dropping the future does not undo it.
/// - A delivery that cannot be read is left out of lists, and does not make others unreadable.
///
/// # Errors
/// Every operation can fail with [`super::StoreError::Busy`] or [`super::StoreError::Failed`].
pub trait History: fmt::Debug + Send + Sync {
    /// Whose deliveries it contains. Never changes.
    fn scope(&self) -> HistoryScope;

    /// Lists at most `limit` deliveries, latest first, starting before `cursor` if it is set. Fewer
    /// than `limit` mean that there are no more. The cursor need not be the id of a delivery of
    /// this store.
    fn list(&self, filter: Filter, cursor: Option<Uuid>, limit: usize)
    -> StoreFuture<Vec<Summary>>;

    /// Reads one delivery in full; `None` if it does not exist.
    fn show(&self, id: Uuid) -> StoreFuture<Option<Detail>>;

    /// Creates a new delivery of the same event, with its own attempts, and returns its id; `None`
    /// if the delivery does not exist.
    fn replay(&self, id: Uuid, now: Moment) -> StoreFuture<Option<Uuid>>;

    /// Replays the succeeded and dead deliveries that match the filter. Examines at most `limit`
    /// deliveries, latest first, starting before `cursor` if it is set. An event with an
    /// undelivered delivery is not replayed.
    fn replay_all(
        &self,
        filter: Filter,
        cursor: Option<Uuid>,
        limit: usize,
        now: Moment,
    ) -> StoreFuture<Replayed>;

    /// Delivery counts of each webhook that had a delivery, including deleted webhooks.
    fn tallies(&self) -> StoreFuture<Vec<(Arc<StoredWebhook>, Tally)>>;

    /// Size and load of the store. Replicas that share a store report the same deliveries.
    fn metrics(&self) -> StoreMetrics;
}
