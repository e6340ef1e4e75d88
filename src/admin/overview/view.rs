//! Apps and webhooks as the API writes them. Neither a URL nor a UUID of one is told: who knows them may trigger.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::numbers::Sum;
use super::query;
use crate::moment::Moment;
use crate::plan::overview::{AppOverview, Position, WebhookOverview};
use crate::resources::DeliveryMode;
use crate::resources::conditions::Verdict;
use crate::routes::counts::Rates;

/// A part of a list, what has a problem first.
#[derive(Debug, Serialize)]
pub struct Page<T> {
    /// What is in it.
    pub items: Vec<T>,
    /// Where the next part begins; `None` when this is the last one.
    pub cursor: Option<String>,
    /// The replicas that did not answer: what they counted is not in the numbers.
    pub unavailable: Vec<String>,
}

impl<T> Page<T> {
    /// At most `limit` of what was found, with a cursor where there was more.
    pub fn of<F>(
        mut found: Vec<F>,
        limit: usize,
        position: impl Fn(&F) -> &Position,
        view: impl Fn(F) -> T,
    ) -> Self {
        let is_last = found.len() <= limit;
        found.truncate(limit);
        let cursor = found.last().filter(|_| !is_last).map(|last| query::cursor(position(last)));
        Self { items: found.into_iter().map(view).collect(), cursor, unavailable: Vec::new() }
    }
}

/// An app.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct App {
    namespace: Arc<str>,
    name: Arc<str>,
    #[serde(flatten)]
    condition: Ready,
    /// Whether its listener answers; `None` while it is not known.
    reachable: Option<bool>,
    /// What there is to say about that.
    listener_message: Option<String>,
    /// How many webhooks name it.
    webhooks: usize,
    #[serde(flatten)]
    numbers: Shown,
}

/// A webhook.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    namespace: Arc<str>,
    name: Arc<str>,
    /// The three are `None` where its spec is invalid.
    app: Option<Arc<str>>,
    action: Option<Box<str>>,
    mode: Option<DeliveryMode>,
    suspended: bool,
    #[serde(flatten)]
    condition: Ready,
    #[serde(flatten)]
    numbers: Shown,
}

/// As the condition `Ready` has it.
#[derive(Debug, Serialize)]
struct Ready {
    ready: bool,
    reason: &'static str,
    message: String,
}

/// What became of its events.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    deliveries: Deliveries,
    last_success_at: Option<Moment>,
    last_hour: Option<LastHour>,
}

/// How many deliveries there are, by where they stand.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Deliveries {
    /// Those that the listener took, ever.
    pub succeeded: u64,
    /// Those that have not ended.
    pub pending: u64,
    /// Those that were given up and are kept.
    pub dead: u64,
}

/// The last sixty minutes, the present one last, as replicas counted them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LastHour {
    /// Triggers that were no errors.
    accepted: Vec<u32>,
    /// Triggers that were refused.
    refused: Vec<u32>,
    /// Attempts that the listener answered 2xx.
    succeeded: Vec<u32>,
    /// Attempts that failed.
    failed: Vec<u32>,
}

impl LastHour {
    /// These minutes.
    pub fn of(minutes: &[Rates]) -> Self {
        let each = |number: fn(&Rates) -> u32| minutes.iter().map(number).collect();
        Self {
            accepted: each(|rates| rates.accepted),
            refused: each(|rates| rates.refused),
            succeeded: each(|rates| rates.succeeded),
            failed: each(|rates| rates.failed),
        }
    }

    /// Adds what another replica counted in the same minutes.
    pub fn add(&mut self, other: &Self) {
        let each = [
            (&mut self.accepted, &other.accepted),
            (&mut self.refused, &other.refused),
            (&mut self.succeeded, &other.succeeded),
            (&mut self.failed, &other.failed),
        ];
        for (minutes, others) in each {
            minutes
                .iter_mut()
                .zip(others)
                .for_each(|(sum, count)| *sum = sum.saturating_add(*count));
        }
    }
}

impl App {
    /// What is shown of it.
    pub fn new(app: AppOverview, numbers: Sum) -> Self {
        let AppOverview { position, verdict, reachable, webhooks, ids: _ } = app;
        let (reachable, listener_message) = reachable.unzip();
        Self {
            namespace: position.key.namespace,
            name: position.key.name,
            condition: (&verdict).into(),
            reachable,
            listener_message,
            webhooks,
            numbers: numbers.into(),
        }
    }
}

impl Webhook {
    /// What is shown of it.
    pub fn new(webhook: WebhookOverview, numbers: Sum) -> Self {
        let WebhookOverview { position, verdict, app, action, mode, id: _ } = webhook;
        Self {
            namespace: position.key.namespace,
            name: position.key.name,
            app,
            action,
            mode,
            suspended: verdict == Verdict::Suspended,
            condition: (&verdict).into(),
            numbers: numbers.into(),
        }
    }
}

impl From<&Verdict> for Ready {
    fn from(verdict: &Verdict) -> Self {
        let message = verdict.message().to_owned();
        Self { ready: verdict.is_ready(), reason: verdict.reason(), message }
    }
}

impl From<Sum> for Shown {
    fn from(Sum { deliveries, last_success_at, last_hour }: Sum) -> Self {
        Self { deliveries, last_success_at, last_hour }
    }
}
