//! Delivery counts of a webhook, as its status shows them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use crate::moment::Moment;
use crate::resources::{DeliveryCounts, WebhookStatus};

/// `status.deliveries` and `status.lastDelivery`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Deliveries by state; `None` if the webhook never queued an event.
    pub deliveries: Option<DeliveryCounts>,
    /// Time of the last successful delivery, in whole seconds.
    last: Option<Timestamp>,
}

impl Counted {
    /// Counts, and the time of the last successful delivery.
    pub fn new(deliveries: Option<DeliveryCounts>, last: Option<Moment>) -> Self {
        let mut counted = Self { deliveries, last: None };
        counted.took(last);
        counted
    }

    /// Updates the time of the last delivery, if `last` is later.
    pub fn took(&mut self, last: Option<Moment>) {
        // Kubernetes stores whole seconds.
        let second = |last: Moment| Timestamp::from_second((last.0 / 1000).try_into().ok()?).ok();
        self.last = self.last.max(last.and_then(second));
    }

    /// The counts in a status.
    pub fn of(status: &WebhookStatus) -> Self {
        let last = status.last_delivery.as_ref().map(|time| time.0);
        Self { deliveries: status.deliveries, last }
    }

    /// `status.lastDelivery`.
    pub fn last_delivery(&self) -> Option<Time> {
        self.last.map(Time)
    }

    /// The counts that replace these, given newer ones. The time of the last delivery never goes
    /// back, even when retention has deleted that delivery; counts that are missing in `later`
    /// become zero.
    pub fn then(self, later: Option<Self>) -> Self {
        let later = later.unwrap_or(Self {
            deliveries: self.deliveries.map(|_| DeliveryCounts::default()),
            last: None,
        });
        Self { last: later.last.max(self.last), ..later }
    }

    /// Number of deliveries that have not finished.
    pub fn pending(&self) -> i64 {
        self.deliveries.map_or(0, |deliveries| deliveries.pending)
    }

    /// Number of dead deliveries.
    pub fn dead(&self) -> i64 {
        self.deliveries.map_or(0, |deliveries| deliveries.dead)
    }
}

/// New counts for a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// The counts for the status.
    pub counted: Counted,
    /// The deliveries that died since the previous counts.
    pub died: Died,
}

/// Deliveries that died since the previous counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Died {
    /// Time of the previous counts.
    pub since: Option<Moment>,
    /// Error of the last one; contains neither secrets nor URLs.
    pub why: Option<Box<str>>,
}

/// A webhook whose counts differ from its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recount {
    /// The webhook.
    pub key: super::Key,
    /// Its new counts.
    pub counted: Counted,
    /// Whether the number of dead deliveries grew.
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
