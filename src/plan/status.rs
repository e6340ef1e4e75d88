//! When a status has to be written: when it differs, timestamps aside.

use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use uuid::Uuid;

use crate::resources::conditions::{LISTENER_REACHABLE, TYPES, Verdict};
use crate::resources::{WebhookAppStatus, WebhookStatus};

/// What is remembered of the status that an object has: enough to see whether another one
/// differs, and since when its conditions stand; not its texts, of which there are many.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// `status.uuid`: a UUID once given is kept.
    pub uuid: Option<Uuid>,
    fingerprint: u64,
    since: [Since; 3],
}

impl Observed {
    /// What an app's status says.
    pub fn of_app(status: &WebhookAppStatus) -> Self {
        let WebhookAppStatus { uuid, url, webhooks, observed_generation, conditions } = status;
        Self::new(uuid.as_deref(), (url, webhooks, observed_generation), conditions)
    }

    /// What a webhook's status says.
    pub fn of_webhook(status: &WebhookStatus) -> Self {
        let WebhookStatus { uuid, url, observed_generation, conditions } = status;
        Self::new(uuid.as_deref(), (url, observed_generation), conditions)
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
        }
    }

    /// Whether both say the same, timestamps aside.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }

    /// The moments from which the conditions of a verdict count: those of before where a
    /// condition's status stays, `now` where it changes.
    pub fn since(&self, verdict: &Verdict, now: Timestamp) -> [Timestamp; 3] {
        let statuses = verdict.statuses();
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        std::array::from_fn(|i| self.since[i].moment(statuses[i]).unwrap_or(now))
    }
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
