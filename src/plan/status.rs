//! When a status has to be written: when it differs, timestamps aside.

use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use uuid::Uuid;

use super::counted::Counted;
use crate::resources::conditions::{LISTENER_REACHABLE, READY, TYPES, Verdict};
use crate::resources::{WebhookAppStatus, WebhookStatus};

/// What is remembered of the status that an object has: enough to see whether another one
/// differs, and since when its conditions stand; not its texts, of which there are many.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// `status.uuid`: a UUID once given is kept.
    pub uuid: Option<Uuid>,
    /// Of everything but what was counted.
    fingerprint: u64,
    since: [Since; 3],
    said: Said,
}

/// What people were told by events, and what a status goes on to say while nothing newer is known.
#[derive(Clone, Debug, Default, PartialEq)]
struct Said {
    /// A hash of the status and the reason of `Ready`.
    ready: Option<u64>,
    /// Boxed, as the next: most objects have none.
    listener: Option<Box<Condition>>,
    counted: Option<Box<Counted>>,
}

impl Observed {
    /// What an app's status says.
    pub fn of_app(status: &WebhookAppStatus) -> Self {
        let WebhookAppStatus { uuid, url, webhooks, observed_generation, conditions } = status;
        let listener = conditions.iter().find(|c| c.type_ == LISTENER_REACHABLE);
        let mut observed =
            Self::new(uuid.as_deref(), (url, webhooks, observed_generation), conditions);
        observed.said.listener = listener.cloned().map(Box::new);
        observed
    }

    /// What a webhook's status says.
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
        observed.said.counted = (counted != Counted::default()).then(|| Box::new(counted));
        observed
    }

    fn new(uuid: Option<&str>, fields: impl Hash, conditions: &[Condition]) -> Self {
        let mut hasher = DefaultHasher::new();
        (uuid, fields).hash(&mut hasher);
        let find = |type_| conditions.iter().find(|condition| condition.type_ == type_);
        let ours = TYPES.map(find);
        for condition in ours.into_iter().chain([find(LISTENER_REACHABLE)]) {
            let said =
                condition.map(|c| (&c.status, &c.reason, &c.message, &c.observed_generation));
            said.hash(&mut hasher);
        }
        Self {
            uuid: uuid.and_then(|text| Uuid::try_parse(text).ok()),
            fingerprint: hasher.finish(),
            since: ours.map(Since::of),
            said: Said { ready: find(READY).map(said), ..Said::default() },
        }
    }

    /// Whether both say the same, timestamps of conditions aside.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint && self.said.counted == other.said.counted
    }

    /// Takes over of what was written, before it is observed, what must not be told twice.
    pub fn was_told(&mut self, written: Self) {
        self.said = written.said;
    }

    /// Whether it says what this condition `Ready` says: its status and its reason.
    pub fn says(&self, ready: &Condition) -> bool {
        self.said.ready == Some(said(ready))
    }

    /// What was counted.
    pub fn counted(&self) -> Counted {
        self.said.counted.as_deref().copied().unwrap_or_default()
    }

    /// The status of the condition [`LISTENER_REACHABLE`].
    pub fn listener_status(&self) -> Option<&str> {
        self.said.listener.as_ref().map(|condition| &*condition.status)
    }

    /// What an app's status says of its listener: what is `known`, else what was said before. It counts from
    /// when it was first said.
    pub fn listener(&self, known: Option<Condition>, generation: i64) -> Option<Condition> {
        let before = self.said.listener.as_deref();
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

    /// The moments from which the conditions of a verdict count: those of before where a
    /// condition's status stays, `now` where it changes.
    pub fn since(&self, verdict: &Verdict, now: Timestamp) -> [Timestamp; 3] {
        let statuses = verdict.statuses();
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        std::array::from_fn(|i| self.since[i].moment(statuses[i]).unwrap_or(now))
    }
}

/// A hash of what events tell of a condition.
fn said(condition: &Condition) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&condition.status, &condition.reason).hash(&mut hasher);
    hasher.finish()
}

/// The status of a condition and the second since which it stands, in one number:
/// Kubernetes keeps whole seconds.
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

    /// The moment, if the condition has this status.
    fn moment(self, status: bool) -> Option<Timestamp> {
        let same = self.0 != Self::NEVER && self.0 & 1 == i64::from(status);
        same.then(|| Timestamp::from_second(self.0 >> 1).ok()).flatten()
    }
}
