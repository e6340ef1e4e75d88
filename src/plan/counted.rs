//! What became of the events of a webhook, in the numbers that its status shows.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use crate::moment::Moment;
use crate::resources::{DeliveryCounts, WebhookStatus};

/// `status.deliveries` and `status.lastDelivery`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// How many deliveries there are; `None` of a webhook that never queued anything.
    pub deliveries: Option<DeliveryCounts>,
    /// The second in which the listener last took an event.
    last: Option<Timestamp>,
}

impl Counted {
    /// Numbers, and when the listener last took an event.
    pub fn new(deliveries: Option<DeliveryCounts>, last: Option<Moment>) -> Self {
        let mut counted = Self { deliveries, last: None };
        counted.took(last);
        counted
    }

    /// The listener took an event then, too.
    pub fn took(&mut self, last: Option<Moment>) {
        // Kubernetes keeps whole seconds.
        let second = |last: Moment| Timestamp::from_second((last.0 / 1000).try_into().ok()?).ok();
        self.last = self.last.max(last.and_then(second));
    }

    /// What a status says.
    pub fn of(status: &WebhookStatus) -> Self {
        let last = status.last_delivery.as_ref().map(|time| time.0);
        Self { deliveries: status.deliveries, last }
    }

    /// When the listener last took an event, as a status says it.
    pub fn last_delivery(&self) -> Option<Time> {
        self.last.map(Time)
    }

    /// What is true after `later` was counted where this was said before. The last delivery stays the last
    /// one, though nothing that is kept tells of it any more; what is not there any more is not counted.
    pub fn then(self, later: Option<Self>) -> Self {
        let later = later.unwrap_or(Self {
            deliveries: self.deliveries.map(|_| DeliveryCounts::default()),
            last: None,
        });
        Self { last: later.last.max(self.last), ..later }
    }

    /// Deliveries that have not ended.
    pub fn pending(&self) -> i64 {
        self.deliveries.map_or(0, |deliveries| deliveries.pending)
    }

    /// Deliveries that are dead.
    pub fn dead(&self) -> i64 {
        self.deliveries.map_or(0, |deliveries| deliveries.dead)
    }
}

/// Numbers that were counted for a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// What the status is to say.
    pub counted: Counted,
    /// What is known of deliveries that have died since the count before.
    pub died: Died,
}

/// What is known of deliveries that have died.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Died {
    /// When was counted before.
    pub since: Option<Moment>,
    /// Why the last of them died; neither a secret nor a URL is in it.
    pub why: Option<Box<str>>,
}

/// A webhook of which something else was counted than its status says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recount {
    /// The webhook.
    pub key: super::Key,
    /// What was counted.
    pub counted: Counted,
    /// Whether more deliveries are dead than before.
    pub has_more_dead: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(dead: i64, last: u64) -> Counted {
        let deliveries = DeliveryCounts { dead, ..DeliveryCounts::default() };
        Counted::new(Some(deliveries), Some(Moment(last)))
    }

    #[test]
    fn the_last_delivery_never_goes_back_and_what_is_gone_is_not_counted() {
        let nothing = Counted::default();
        for (before, later, after) in [
            (nothing, None, nothing),
            (nothing, Some(counted(1, 2_500)), counted(1, 2_000)),
            (counted(1, 2_000), Some(counted(0, 1_000)), counted(0, 2_000)),
            (counted(1, 2_000), Some(counted(3, 9_000)), counted(3, 9_000)),
            (counted(1, 2_000), None, counted(0, 2_000)),
            (
                Counted::new(None, Some(Moment(5_000))),
                None,
                Counted::new(None, Some(Moment(5_000))),
            ),
        ] {
            assert_eq!(before.then(later), after, "{before:?}, then {later:?}");
        }
    }
}
