//! What a store tells people: which deliveries there are, what happened to each, and their replay.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use uuid::Uuid;

use super::{Attempted, Reason, State, StoredWebhook};
use crate::histogram::Snapshot;
use crate::moment::Moment;
use crate::routes::AppId;

/// Which deliveries are meant. What is `None` is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those of a namespace.
    pub namespace: Option<String>,
    /// Those of webhooks of this name.
    pub webhook: Option<String>,
    /// Those in this state; [`State::Pending`] means those that wait too.
    pub state: Option<State>,
    /// Those that began at this moment or later.
    pub since: Option<Moment>,
    /// Those that began before this moment.
    pub until: Option<Moment>,
}

/// One line of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The delivery's id; it tells when the delivery began.
    pub id: Uuid,
    /// The event's id.
    pub event: Uuid,
    /// 1 for the first delivery of an event, 2 for its first replay.
    pub generation: u32,
    /// Its webhook.
    pub webhook: Arc<StoredWebhook>,
    /// Where it stands.
    pub state: State,
    /// Why it was given up.
    pub reason: Option<Reason>,
    /// Attempts that were made.
    pub attempts: u32,
    /// When the next attempt is due, while it is pending.
    pub due: Option<Moment>,
    /// When it ended.
    pub finished: Option<Moment>,
    /// The status that the listener answered last.
    pub last_status: Option<u16>,
}

/// One delivery with everything that is kept of it, but for the body of its event.
#[derive(Clone, Debug)]
pub struct Detail {
    /// The line.
    pub summary: Summary,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempted>,
    /// The content type of the event.
    pub content_type: Option<String>,
    /// The headers that are passed on.
    pub headers: HeaderMap,
    /// The length of the event's body, in bytes.
    pub body_bytes: u64,
    /// The beginning of the event's body; at most 64 KiB.
    pub body: Bytes,
}

/// What a replay by filter did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// How many deliveries were begun anew.
    pub count: usize,
    /// Where to go on when not all were: the lowest id that was looked at.
    pub cursor: Option<Uuid>,
}

/// What a store holds, in numbers. Kept in memory: asking costs nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Bytes on the disk that are in use.
    pub bytes: u64,
    /// The most that may be in use.
    pub max_bytes: u64,
    /// Deliveries that have not ended, by app.
    pub undelivered: Vec<(AppId, u64)>,
    /// When the oldest of them began, by app; to the second.
    pub oldest: Vec<(AppId, Moment)>,
    /// How long commits to stable storage took since the start, in seconds.
    pub commit_times: Snapshot,
    /// How many writes each of them had.
    pub commit_writes: Snapshot,
}

/// What has become of the deliveries of one webhook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that succeeded, ever; after a crash those of the last half second may be missing.
    pub succeeded: u64,
    /// Those that are dead, and kept to be replayed.
    pub dead: u64,
    /// Those that have not ended.
    pub pending: u64,
    /// When one last succeeded.
    pub last: Option<Moment>,
}
