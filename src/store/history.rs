//! The delivery history shown to users: lists, details and replays.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use uuid::Uuid;

use super::{Attempted, DeadReason, DeliveryState, StoredWebhook};
use crate::histogram::Snapshot;
use crate::moment::Moment;
use crate::routes::AppId;

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
    /// The headers that are passed on to the listener.
    pub headers: HeaderMap,
    /// Length of the event's body in bytes.
    pub body_bytes: u64,
    /// The first 64 KiB of the event's body.
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

/// Size and load of a store. The values are kept in memory, so reading them does not access the
/// disk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Used bytes on disk.
    pub bytes: u64,
    /// Maximum of `bytes`.
    pub max_bytes: u64,
    /// Pending and waiting deliveries by app.
    pub undelivered: Vec<(AppId, u64)>,
    /// When the oldest of them was created, by app, rounded down to the second.
    pub oldest: Vec<(AppId, Moment)>,
    /// Durations of commits since the start, in seconds.
    pub commit_times: Snapshot,
    /// Number of writes in each commit.
    pub commit_writes: Snapshot,
}

/// Delivery counts of a webhook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All deliveries that ever succeeded. After a crash, those of the last half second may be
    /// missing.
    pub succeeded: u64,
    /// Dead deliveries that are still stored, and can be replayed.
    pub dead: u64,
    /// Pending and waiting deliveries.
    pub pending: u64,
    /// Time of the last success.
    pub last: Option<Moment>,
}
