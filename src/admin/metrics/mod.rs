//! `/metrics`: what this replica is, has and has done, for Prometheus.

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
pub use self::text::Format;
use crate::http::ConnectionCounts;
use crate::moment::Moment;
use crate::source::Brain;
use crate::store::Store;

/// The first part of every name.
const PREFIX: &str = "webhook_operator";

/// What is measured. It is counted where it happens, and put together when it is asked for.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Where triggers are routed, and what was counted of them.
    pub brain: Arc<Brain>,
    /// Whether every route is known.
    pub synced: watch::Receiver<bool>,
    /// What waits to be delivered.
    pub store: Arc<dyn Store>,
    /// Whether this replica holds the lease; `None` where there is no lease.
    pub leading: Option<watch::Receiver<bool>>,
    /// Whether there are series for each webhook and app, and not for each namespace alone.
    pub by_webhook: bool,
    /// Connections of the trigger port that were not served.
    pub connections: Arc<ConnectionCounts>,
}

impl Metrics {
    /// The text.
    ///
    /// # Errors
    /// None that is known of: a text can be written to.
    pub async fn text(&self, format: Format) -> Result<String, fmt::Error> {
        let families = self.gather(Moment::now()).await;
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register_collector(Box::new(Gathered(families)));
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(format.of_open_metrics(text))
    }
}

/// Everything at one moment.
#[derive(Debug)]
struct Gathered(Vec<Family>);

impl Collector for Gathered {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let told = self.0.iter().filter(|family| !family.is_empty());
        told.into_iter().try_for_each(|family| family.encode(&mut encoder))
    }
}
