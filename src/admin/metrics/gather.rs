//! Collects the metric families, with one function per part of the program.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::Arc;

use tokio::time::Instant;

use super::Metrics;
use super::families::{Family, Labels, Values};
use crate::histogram::Snapshot;
use crate::moment::Moment;
use crate::routes::counts::{AppCounts, Deaths, Outcomes};
use crate::routes::{AppId, Meters, Table};
use crate::store::{Health, StoreMetrics, StoredWebhook, Tally};

use Values::{Counters, Gauges, Histograms, Info};

impl Metrics {
    /// All families.
    pub(super) async fn gather(&self, now: Moment) -> Vec<Family> {
        let mut all = self.replica();
        all.extend(self.store(now));
        all.push(self.dead(&self.history.tallies().await.unwrap_or_default()));
        all.extend(self.control_plane());
        if let Some(meters) = self.routes().meters() {
            all.extend(self.webhooks(meters));
            all.extend(self.apps(meters));
            all.push(durations(meters));
        }
        all
    }

    fn routes(&self) -> &Table {
        self.runner.routes()
    }

    fn replica(&self) -> Vec<Family> {
        let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        let (routes, synced) = (self.routes().len() as f64, *self.synced.borrow());
        let mut all = vec![
            Family { name: "build", help: "Version of the program", values: Info(version) },
            gauge("routes", "Number of webhooks with a URL on this replica", routes),
            gauge("synced", "Whether all resources have been listed", f64::from(synced)),
        ];
        let ends =
            [("refused", self.connections.refused()), ("evicted", self.connections.evicted())];
        all.push(Family {
            name: "connections_closed",
            help: "Connections of the trigger port that were closed early, by reason",
            values: Counters(
                ends.map(|(reason, count)| (vec![("reason", reason.to_owned())], count)).into(),
            ),
        });
        if let Some(leading) = &self.leading {
            let leading = f64::from(*leading.borrow());
            all.push(gauge("leader", "Whether this replica writes statuses", leading));
        }
        all
    }

    fn store(&self, now: Moment) -> Vec<Family> {
        let StoreMetrics { bytes, max_bytes, undelivered, oldest, commit_times, commit_writes } =
            self.history.metrics();
        let is_serving = *self.store_health.borrow() == Health::Serving;
        let mut waiting = Sums::<f64>::default();
        undelivered.iter().for_each(|(app, count)| waiting.add(self.app(*app), *count as f64));
        let mut ages = BTreeMap::<Labels, f64>::new();
        for (app, began) in oldest {
            let age = ages.entry(self.app(app)).or_default();
            *age = age.max(now.since(began).as_secs_f64());
        }
        vec![
            Family {
                name: "queue_undelivered",
                help: "Pending deliveries of an app",
                values: Gauges(waiting.into()),
            },
            Family {
                name: "queue_oldest_age_seconds",
                help: "Age of the oldest pending delivery of an app",
                values: Gauges(ages.into_iter().collect()),
            },
            gauge("store_used_bytes", "Used bytes of the store", bytes as f64),
            gauge("store_max_bytes", "Maximum size of the store in bytes", max_bytes as f64),
            gauge("store_serving", "Whether the store accepts events", f64::from(is_serving)),
            histogram(
                "store_commit_duration_seconds",
                "Time until writes are on stable storage",
                commit_times,
            ),
            histogram("store_commit_writes", "Number of writes per commit", commit_writes),
        ]
    }

    fn dead(&self, tallies: &[(Arc<StoredWebhook>, Tally)]) -> Family {
        let mut sums = Sums::<f64>::default();
        for (webhook, tally) in tallies.iter().filter(|(_, tally)| tally.dead > 0) {
            sums.add(self.webhook(&webhook.namespace, &webhook.name), tally.dead as f64);
        }
        Family {
            name: "queue_dead",
            help: "Retained dead deliveries of a webhook",
            values: Gauges(sums.into()),
        }
    }

    /// Watches and status writes, which are empty in standalone mode, and the reachability of
    /// listeners.
    fn control_plane(&self) -> Vec<Family> {
        let kind = |kind: &str| vec![("kind", kind.to_owned())];
        let signals = self.runner.signals();
        let watches = signals.watches(Instant::now());
        let lags = watches.iter().map(|watch| (kind(&watch.kind), watch.lag.as_secs_f64()));
        let restarts = watches.iter().map(|watch| (kind(&watch.kind), watch.restarts));
        let statuses = signals.statuses().into_iter().flat_map(|(of, written)| {
            let outcomes = [("written", written.written), ("failed", written.failed)];
            outcomes.map(|(word, count)| (with(kind(of), "outcome", word), count))
        });
        let reachable = self.runner.planner().reachable_listeners().into_iter();
        let reachable = reachable.map(|(app, is_reachable)| {
            (self.named("app", &app.namespace, &app.name), f64::from(is_reachable))
        });
        // Without labels for apps, a series shows the worst app of its namespace.
        let mut worst = BTreeMap::<Labels, f64>::new();
        reachable.for_each(|(app, is_reachable)| {
            let value = worst.entry(app).or_insert(is_reachable);
            *value = value.min(is_reachable);
        });
        vec![
            Family {
                name: "listener_reachable",
                help: "Whether an app's listener answers the attempts of this replica",
                values: Gauges(worst.into_iter().collect()),
            },
            Family {
                name: "watch_lag_seconds",
                help: "How long changes of resources may have been missed; 0 during a watch",
                values: Gauges(lags.collect()),
            },
            Family {
                name: "watch_restarts",
                help: "Watches that were restarted after an interruption",
                values: Counters(restarts.collect()),
            },
            Family {
                name: "status_writes",
                help: "Status writes of this replica, by outcome",
                values: Counters(statuses.collect()),
            },
        ]
    }

    fn webhooks(&self, meters: &Meters) -> [Family; 3] {
        let known = meters.webhooks.known(|id| self.routes().get(id));
        let mut sums = WebhookSums::default();
        for (route, counts) in &known {
            let labels = self.webhook(&route.app.namespace, &route.name);
            sums.add_triggers(&labels, counts.triggers());
            sums.add_dead(&labels, counts.dead());
            if counts.succeeded() > 0 {
                sums.ended.add(with(labels, "outcome", "succeeded"), counts.succeeded());
            }
        }
        let none = self.webhook("", "");
        sums.add_triggers(&none, &meters.unrouted);
        sums.add_dead(&none, &meters.dead);
        [
            Family {
                name: "triggers",
                help: "Triggers, by outcome; namespace and webhook are empty if no webhook matches",
                values: Counters(sums.triggers.into()),
            },
            Family {
                name: "deliveries",
                help: "Finished deliveries, by outcome",
                values: Counters(sums.ended.into()),
            },
            Family {
                name: "dead_letters",
                help: "Deliveries that were given up, by reason",
                values: Counters(sums.dead.into()),
            },
        ]
    }

    fn apps(&self, meters: &Meters) -> [Family; 3] {
        let known = meters.apps.known(|uuid| self.routes().app(uuid));
        let mut sums = AppSums::default();
        for (app, counts) in &known {
            sums.add(&self.named("app", &app.namespace, &app.name), counts);
        }
        [
            Family {
                name: "attempts",
                help: "Calls of listeners, by outcome",
                values: Counters(sums.attempts.into()),
            },
            Family {
                name: "retries",
                help: "Failed attempts that are retried",
                values: Counters(sums.retries.into()),
            },
            Family {
                name: "attempt_duration_seconds",
                help: "Duration of calls of listeners",
                values: Histograms(sums.took.into_iter().collect()),
            },
        ]
    }

    /// The labels of an app. Deleted apps share one series with empty labels.
    fn app(&self, id: AppId) -> Labels {
        let app = self.routes().owned_app(id);
        let (namespace, name) = app.as_ref().map_or(("", ""), |app| (&app.namespace, &app.name));
        self.named("app", namespace, name)
    }

    fn webhook(&self, namespace: &str, name: &str) -> Labels {
        self.named("webhook", namespace, name)
    }

    fn named(&self, kind: &'static str, namespace: &str, name: &str) -> Labels {
        let name = if self.by_webhook { name } else { "" };
        vec![("namespace", namespace.to_owned()), (kind, name.to_owned())]
    }
}

#[derive(Default)]
struct WebhookSums {
    triggers: Sums<u64>,
    ended: Sums<u64>,
    dead: Sums<u64>,
}

impl WebhookSums {
    fn add_triggers(&mut self, labels: &Labels, outcomes: &Outcomes) {
        for (outcome, count) in outcomes.counted() {
            self.triggers.add(with(labels.clone(), "outcome", outcome), count);
        }
    }

    fn add_dead(&mut self, labels: &Labels, deaths: &Deaths) {
        for (reason, count) in deaths.counted() {
            self.dead.add(with(labels.clone(), "reason", reason), count);
            self.ended.add(with(labels.clone(), "outcome", "dead"), count);
        }
    }
}

#[derive(Default)]
struct AppSums {
    attempts: Sums<u64>,
    retries: Sums<u64>,
    took: BTreeMap<Labels, Snapshot>,
}

impl AppSums {
    fn add(&mut self, labels: &Labels, counts: &AppCounts) {
        for (outcome, count) in counts.attempts() {
            self.attempts.add(with(labels.clone(), "outcome", outcome), count);
        }
        self.retries.add(labels.clone(), counts.retries());
        let took = counts.took.snapshot();
        match self.took.get_mut(labels) {
            Some(sum) => sum.add(&took),
            None => drop(self.took.insert(labels.clone(), took)),
        }
    }
}

fn durations(meters: &Meters) -> Family {
    let took = meters.took();
    let took = took.map(|(code, took)| (vec![("code", code.to_owned())], took.snapshot()));
    Family {
        name: "trigger_duration_seconds",
        help: "Time to the response of triggers, by status class",
        values: Histograms(took.collect()),
    }
}

/// Sums of samples with equal labels.
#[derive(Debug)]
struct Sums<T>(BTreeMap<Labels, T>);

impl<T> Default for Sums<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: AddAssign + Default> Sums<T> {
    fn add(&mut self, labels: Labels, value: T) {
        *self.0.entry(labels).or_default() += value;
    }
}

impl<T> From<Sums<T>> for Vec<(Labels, T)> {
    fn from(sums: Sums<T>) -> Self {
        sums.0.into_iter().collect()
    }
}

fn with(mut labels: Labels, name: &'static str, value: &str) -> Labels {
    labels.push((name, value.to_owned()));
    labels
}

fn gauge(name: &'static str, help: &'static str, value: f64) -> Family {
    Family { name, help, values: Gauges(vec![(Vec::new(), value)]) }
}

fn histogram(name: &'static str, help: &'static str, snapshot: Snapshot) -> Family {
    Family { name, help, values: Histograms(vec![(Vec::new(), snapshot)]) }
}
