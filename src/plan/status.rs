//! Comparison of statuses: a status is written only if it differs, ignoring timestamps.

use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use uuid::Uuid;

use super::counted::Counted;
use crate::resources::conditions::{LISTENER_REACHABLE, READY, TYPES, Verdict};
use crate::resources::{WebhookAppStatus, WebhookStatus};

/// A digest of an observed status: enough to detect a difference and to keep transition times,
/// without the many texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// `status.uuid`: kept once assigned.
    pub uuid: Option<Uuid>,
    /// Hash of all fields except the delivery counts.
    fingerprint: u64,
    since: [Since; 3],
    reported: Reported,
}

/// The last Events, and the values that a status keeps until newer ones are known.
#[derive(Clone, Debug, Default, PartialEq)]
struct Reported {
    /// Hash of the status and the reason of `Ready`.
    ready: Option<u64>,
    /// Boxed, like the next field, because most objects have none.
    listener: Option<Box<Condition>>,
    counted: Option<Box<Counted>>,
}

impl Observed {
    /// The digest of an app's status.
    pub fn of_app(status: &WebhookAppStatus) -> Self {
        let WebhookAppStatus { uuid, url, webhooks, observed_generation, conditions } = status;
        let listener = conditions.iter().find(|c| c.type_ == LISTENER_REACHABLE);
        let mut observed =
            Self::new(uuid.as_deref(), (url, webhooks, observed_generation), conditions);
        observed.reported.listener = listener.cloned().map(Box::new);
        observed
    }

    /// The digest of a webhook's status.
    pub fn of_webhook(status: &WebhookStatus) -> Self {
        let WebhookStatus {
            uuid,
            url,
            observed_generation,
            conditions,
            last_delivery: _,
            deliveries: _,
        } = status;
        let counted = Counted::of(status);
        let mut observed = Self::new(uuid.as_deref(), (url, observed_generation), conditions);
        observed.reported.counted = (counted != Counted::default()).then(|| Box::new(counted));
        observed
    }

    fn new(uuid: Option<&str>, fields: impl Hash, conditions: &[Condition]) -> Self {
        let mut hasher = DefaultHasher::new();
        (uuid, fields).hash(&mut hasher);
        let find = |type_| conditions.iter().find(|condition| condition.type_ == type_);
        let ours = TYPES.map(find);
        for condition in ours.into_iter().chain([find(LISTENER_REACHABLE)]) {
            let fields =
                condition.map(|c| (&c.status, &c.reason, &c.message, &c.observed_generation));
            fields.hash(&mut hasher);
        }
        Self {
            uuid: uuid.and_then(|text| Uuid::try_parse(text).ok()),
            fingerprint: hasher.finish(),
            since: ours.map(Since::of),
            reported: Reported { ready: find(READY).map(ready_hash), ..Reported::default() },
        }
    }

    /// Whether two statuses are equal, ignoring timestamps.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint && self.reported.counted == other.reported.counted
    }

    /// Takes from the written status, before the watch shows it, what prevents repeated Events.
    pub fn was_told(&mut self, written: Self) {
        self.reported = written.reported;
    }

    /// Whether the status and the reason of the condition `Ready` are unchanged.
    pub fn says(&self, ready: &Condition) -> bool {
        self.reported.ready == Some(ready_hash(ready))
    }

    /// The delivery counts.
    pub fn counted(&self) -> Counted {
        self.reported.counted.as_deref().copied().unwrap_or_default()
    }

    /// The status of the condition [`LISTENER_REACHABLE`].
    pub fn listener_status(&self) -> Option<&str> {
        self.reported.listener.as_ref().map(|condition| &*condition.status)
    }

    /// The condition of an app's listener: `known`, or else the observed one, with its original
    /// transition time.
    pub fn listener(&self, known: Option<Condition>, generation: i64) -> Option<Condition> {
        let before = self.reported.listener.as_deref();
        let Some(mut known) = known else {
            return before
                .cloned()
                .map(|before| Condition { observed_generation: Some(generation), ..before });
        };
        if let Some(before) = before.filter(|before| before.status == known.status) {
            known.last_transition_time = before.last_transition_time.clone();
        }
        Some(known)
    }

    /// The transition times of a verdict's conditions: the observed time if the status is
    /// unchanged, otherwise `now`.
    pub fn since(&self, verdict: &Verdict, now: Timestamp) -> [Timestamp; 3] {
        let statuses = verdict.statuses();
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        std::array::from_fn(|i| self.since[i].moment(statuses[i]).unwrap_or(now))
    }
}

/// A hash of the fields of a condition that Events are derived from.
fn ready_hash(condition: &Condition) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&condition.status, &condition.reason).hash(&mut hasher);
    hasher.finish()
}

/// The status of a condition and its transition time in one number. Kubernetes stores whole
/// seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Since(i64);

impl Default for Since {
    fn default() -> Self {
        Self(Self::NEVER)
    }
}

impl Since {
    const NEVER: i64 = i64::MIN;

    fn of(condition: Option<&Condition>) -> Self {
        condition.map_or_else(Self::default, |condition| {
            let seconds = condition.last_transition_time.0.as_second();
            Self(seconds << 1 | i64::from(condition.status == "True"))
        })
    }

    /// The transition time, if the condition has this status.
    fn moment(self, status: bool) -> Option<Timestamp> {
        let same = self.0 != Self::NEVER && self.0 & 1 == i64::from(status);
        same.then(|| Timestamp::from_second(self.0 >> 1).ok()).flatten()
    }
}
