//! What became of the events of webhooks: tallies of the store, and the last hour of this replica.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use super::view::{Deliveries, LastHour};
use crate::moment::Moment;
use crate::routes::counts::{MINUTES, Rates};
use crate::routes::{Id, Meters};
use crate::store::{StoredWebhook, Tally};

/// Everything that there is.
pub struct Numbers<'a> {
    by_webhook: HashMap<Id, Tally>,
    by_app: HashMap<Uuid, Tally>,
    /// `None` where nothing is counted.
    meters: Option<&'a Meters>,
    now: Moment,
}

/// What became of the events of one webhook, or of all of an app.
#[derive(Clone, Debug)]
pub struct Sum {
    /// By where their deliveries stand.
    pub deliveries: Deliveries,
    /// When one last succeeded.
    pub last_success_at: Option<Moment>,
    /// Minute by minute; `None` where nothing is counted.
    pub last_hour: Option<LastHour>,
}

impl<'a> Numbers<'a> {
    pub fn new(
        tallies: &[(Arc<StoredWebhook>, Tally)],
        meters: Option<&'a Meters>,
        now: Moment,
    ) -> Self {
        let mut by_webhook = HashMap::<_, Tally>::new();
        let mut by_app = HashMap::<_, Tally>::new();
        for (webhook, tally) in tallies {
            let id = Id { app: webhook.app, webhook: webhook.uuid };
            add(by_webhook.entry(id).or_default(), tally);
            add(by_app.entry(webhook.app).or_default(), tally);
        }
        Self { by_webhook, by_app, meters, now }
    }

    /// Of some webhooks.
    pub fn of(&self, ids: &[Id]) -> Sum {
        let mut all = Tally::default();
        ids.iter().filter_map(|id| self.by_webhook.get(id)).for_each(|tally| add(&mut all, tally));
        self.sum(all, ids)
    }

    /// Of an app that has these webhooks; events of those that it had before are among them.
    pub fn of_app(&self, ids: &[Id]) -> Sum {
        let tally = ids.first().and_then(|id| self.by_app.get(&id.app));
        self.sum(tally.copied().unwrap_or_default(), ids)
    }

    fn sum(&self, tally: Tally, ids: &[Id]) -> Sum {
        let Tally { succeeded, dead, pending, last } = tally;
        Sum {
            deliveries: Deliveries { succeeded, dead, pending },
            last_success_at: last,
            last_hour: self.meters.map(|meters| self.last_hour(meters, ids)),
        }
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

fn add(sum: &mut Tally, tally: &Tally) {
    sum.succeeded += tally.succeeded;
    sum.dead += tally.dead;
    sum.pending += tally.pending;
    sum.last = sum.last.max(tally.last);
}
