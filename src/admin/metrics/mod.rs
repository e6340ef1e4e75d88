//! `/metrics`: the metrics of this replica for Prometheus.

mod families;
mod gather;
mod text;

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use self::families::Family;
pub use self::text::MetricsFormat;
use crate::http::ConnectionCounts;
use crate::moment::Moment;
use crate::source::PlanRunner;
use crate::store::{Health, History};

/// Prefix of all metric names.
const PREFIX: &str = "webhook_operator";

/// Sources of the metrics. Counters are incremented where events occur and collected on each
/// scrape.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// The routes and the counters of their triggers.
    pub runner: Arc<PlanRunner>,
    /// Whether all routes are known.
    pub synced: watch::Receiver<bool>,
    /// The counts of deliveries, and the size of the store.
    pub history: Arc<dyn History>,
    /// Health of the store.
    pub store_health: watch::Receiver<Health>,
    /// Whether this replica holds the lease; `None` without leader election.
    pub leading: Option<watch::Receiver<bool>>,
    /// Whether series have labels for webhook and app, or only for the namespace.
    pub by_webhook: bool,
    /// Connections of the trigger port that were closed without being served.
    pub connections: Arc<ConnectionCounts>,
}

impl Metrics {
    /// Encodes all metrics.
    ///
    /// # Errors
    /// The encoder's errors. None is known, as writing to a `String` cannot fail.
    pub async fn text(&self, format: MetricsFormat) -> Result<String, fmt::Error> {
        let families = self.gather(Moment::now()).await;
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register_collector(Box::new(GatheredFamilies(families)));
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(format.of_open_metrics(text))
    }
}

/// A snapshot of all families.
#[derive(Debug)]
struct GatheredFamilies(Vec<Family>);

impl Collector for GatheredFamilies {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = self.0.iter().filter(|family| !family.is_empty());
        families.try_for_each(|family| family.encode(&mut encoder))
    }
}
