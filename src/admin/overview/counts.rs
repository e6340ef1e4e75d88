//! Delivery counts of apps and webhooks: from the store, from the counters of the last hour, and
//! from the other replicas.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use super::view::{LastHour, StateCounts};
use crate::admin::deliveries::view::WebhookTally;
use crate::moment::Moment;
use crate::plan::Key;
use crate::resources::DeliveryCounts;
use crate::routes::counts::{MINUTES, Rates};
use crate::routes::{AppId, Id, Meters};
use crate::store::{StoredWebhook, Tally};

/// The counts of all apps and webhooks.
pub struct AllCounts<'a> {
    by_webhook: HashMap<(AppId, Uuid), Tally>,
    by_app: HashMap<AppId, Tally>,
    /// `None` if metrics are disabled.
    meters: Option<&'a Meters>,
    now: Moment,
    /// The counts of the other replicas.
    others: HashMap<CountsKey, Vec<Arc<WebhookTally>>>,
}

/// Object with counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum CountsKey {
    /// A webhook.
    Webhook(Key),
    /// All webhooks of an app.
    App(Key),
}

/// The counts of one webhook, or of all webhooks of an app.
#[derive(Clone, Debug)]
pub struct TotalCounts {
    /// Deliveries by state.
    pub deliveries: StateCounts,
    /// Time of the last successful delivery.
    pub last_success_at: Option<Moment>,
    /// Counts per minute; `None` if metrics are disabled.
    pub last_hour: Option<LastHour>,
}

impl<'a> AllCounts<'a> {
    pub fn new(
        tallies: &[(Arc<StoredWebhook>, Tally)],
        meters: Option<&'a Meters>,
        now: Moment,
    ) -> Self {
        let mut by_webhook = HashMap::<_, Tally>::new();
        let mut by_app = HashMap::<_, Tally>::new();
        for (webhook, tally) in tallies {
            add(by_webhook.entry((webhook.app, webhook.uuid)).or_default(), tally);
            add(by_app.entry(webhook.app).or_default(), tally);
        }
        Self { by_webhook, by_app, meters, now, others: HashMap::new() }
    }

    /// Adds the counts of another replica.
    pub fn add(&mut self, tallies: Vec<WebhookTally>) {
        for tally in tallies.into_iter().map(Arc::new) {
            let key =
                |name: &Arc<str>| Key { namespace: tally.namespace.clone(), name: name.clone() };
            let names = [CountsKey::Webhook(key(&tally.webhook)), CountsKey::App(key(&tally.app))];
            for name in names {
                self.others.entry(name).or_default().push(tally.clone());
            }
        }
    }

    /// The counts of a webhook. `ids` contains its id, if it has a route.
    pub fn of_webhook(&self, key: &Key, ids: &[Id]) -> TotalCounts {
        let mut all = Tally::default();
        let stored = |id: &Id| (AppId::new(&key.namespace, id.app), id.webhook);
        let tallies = ids.iter().filter_map(|id| self.by_webhook.get(&stored(id)));
        tallies.for_each(|tally| add(&mut all, tally));
        self.sum(&CountsKey::Webhook(key.clone()), all, ids)
    }

    /// The counts of an app with these webhooks, including those of its deleted webhooks.
    pub fn of_app(&self, key: &Key, ids: &[Id]) -> TotalCounts {
        let app = ids.first().map(|id| AppId::new(&key.namespace, id.app));
        let tally = app.and_then(|app| self.by_app.get(&app));
        self.sum(&CountsKey::App(key.clone()), tally.copied().unwrap_or_default(), ids)
    }

    fn sum(&self, name: &CountsKey, tally: Tally, ids: &[Id]) -> TotalCounts {
        let Tally { succeeded, dead, pending, last } = tally;
        let mut sum = TotalCounts {
            deliveries: StateCounts { succeeded, dead, pending },
            last_success_at: last,
            last_hour: self.meters.map(|meters| self.last_hour(meters, ids)),
        };
        self.others.get(name).into_iter().flatten().for_each(|tally| sum.add(tally));
        sum
    }

    fn last_hour(&self, meters: &Meters, ids: &[Id]) -> LastHour {
        let mut minutes = [Rates::default(); MINUTES];
        for counts in ids.iter().filter_map(|id| meters.webhooks.find(*id)) {
            for (sum, rates) in minutes.iter_mut().zip(counts.rates(self.now)) {
                sum.accepted = sum.accepted.saturating_add(rates.accepted);
                sum.refused = sum.refused.saturating_add(rates.refused);
                sum.succeeded = sum.succeeded.saturating_add(rates.succeeded);
                sum.failed = sum.failed.saturating_add(rates.failed);
            }
        }
        LastHour::of(&minutes)
    }
}

impl TotalCounts {
    fn add(&mut self, tally: &WebhookTally) {
        let WebhookTally { deliveries, last_delivery, last_hour, .. } = tally;
        if let Some(DeliveryCounts { succeeded, dead, pending }) = *deliveries {
            let number = |count: i64| u64::try_from(count).unwrap_or(0);
            self.deliveries.succeeded += number(succeeded);
            self.deliveries.dead += number(dead);
            self.deliveries.pending += number(pending);
        }
        self.last_success_at = self.last_success_at.max(*last_delivery);
        if let (Some(sum), Some(other)) = (&mut self.last_hour, last_hour) {
            sum.add(other);
        }
    }
}

fn add(sum: &mut Tally, tally: &Tally) {
    sum.succeeded += tally.succeeded;
    sum.dead += tally.dead;
    sum.pending += tally.pending;
    sum.last = sum.last.max(tally.last);
}
