//! Apps and webhooks in responses of the API. URLs and UUIDs are left out, because they are
//! sufficient to trigger a webhook.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::counts::TotalCounts;
use super::query;
use crate::moment::Moment;
use crate::plan::overview::{AppOverview, Position, WebhookOverview};
use crate::resources::DeliveryMode;
use crate::resources::conditions::Verdict;
use crate::routes::counts::Rates;

/// A page of a list, items with a problem first.
#[derive(Debug, Serialize)]
pub struct OverviewPage<T> {
    /// The items.
    pub items: Vec<T>,
    /// Cursor of the next page; `None` on the last page.
    pub cursor: Option<String>,
    /// Replicas that did not respond; their counts are not included.
    pub unavailable: Vec<String>,
}

impl<T> OverviewPage<T> {
    /// A page with at most `limit` items of `found`, and a cursor if `found` has more.
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

/// A WebhookApp.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AppItem {
    namespace: Arc<str>,
    name: Arc<str>,
    #[serde(flatten)]
    condition: ReadyCondition,
    /// Whether the listener answers; `None` if unknown.
    reachable: Option<bool>,
    /// Message about the listener's reachability.
    listener_message: Option<String>,
    /// Number of webhooks of the app.
    webhooks: usize,
    #[serde(flatten)]
    counts: CountsView,
}

/// A Webhook.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookItem {
    namespace: Arc<str>,
    name: Arc<str>,
    /// Like `action` and `mode`, `None` if the spec is invalid.
    app: Option<Arc<str>>,
    action: Option<Box<str>>,
    mode: Option<DeliveryMode>,
    suspended: bool,
    #[serde(flatten)]
    condition: ReadyCondition,
    #[serde(flatten)]
    counts: CountsView,
}

/// The condition `Ready`.
#[derive(Debug, Serialize)]
struct ReadyCondition {
    ready: bool,
    reason: &'static str,
    message: String,
}

/// The counts of an app or webhook.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CountsView {
    deliveries: StateCounts,
    last_success_at: Option<Moment>,
    last_hour: Option<LastHour>,
}

/// Numbers of deliveries by state.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct StateCounts {
    /// Total successful deliveries.
    pub succeeded: u64,
    /// Pending deliveries.
    pub pending: u64,
    /// Retained dead deliveries.
    pub dead: u64,
}

/// Counts of sixty minutes, the current one last, as counted by each replica since its start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LastHour {
    /// Accepted triggers.
    accepted: Vec<u32>,
    /// Rejected triggers.
    refused: Vec<u32>,
    /// Successful attempts (2xx).
    succeeded: Vec<u32>,
    /// Failed attempts.
    failed: Vec<u32>,
}

impl LastHour {
    /// The counts of these minutes.
    pub fn of(minutes: &[Rates]) -> Self {
        let each = |number: fn(&Rates) -> u32| minutes.iter().map(number).collect();
        Self {
            accepted: each(|rates| rates.accepted),
            refused: each(|rates| rates.refused),
            succeeded: each(|rates| rates.succeeded),
            failed: each(|rates| rates.failed),
        }
    }

    /// Adds the counts of another replica for the same minutes.
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

impl AppItem {
    /// The view of an app.
    pub fn new(app: AppOverview, counts: TotalCounts) -> Self {
        let AppOverview { position, verdict, reachable, webhooks, ids: _ } = app;
        let (reachable, listener_message) = reachable.unzip();
        Self {
            namespace: position.key.namespace,
            name: position.key.name,
            condition: (&verdict).into(),
            reachable,
            listener_message,
            webhooks,
            counts: counts.into(),
        }
    }
}

impl WebhookItem {
    /// The view of a webhook.
    pub fn new(webhook: WebhookOverview, counts: TotalCounts) -> Self {
        let WebhookOverview { position, verdict, app, action, mode, id: _ } = webhook;
        Self {
            namespace: position.key.namespace,
            name: position.key.name,
            app,
            action,
            mode,
            suspended: verdict == Verdict::Suspended,
            condition: (&verdict).into(),
            counts: counts.into(),
        }
    }
}

impl From<&Verdict> for ReadyCondition {
    fn from(verdict: &Verdict) -> Self {
        let message = verdict.message().to_owned();
        Self { ready: verdict.is_ready(), reason: verdict.reason().as_str(), message }
    }
}

impl From<TotalCounts> for CountsView {
    fn from(counts: TotalCounts) -> Self {
        let TotalCounts { deliveries, last_success_at, last_hour } = counts;
        Self { deliveries, last_success_at, last_hour }
    }
}
