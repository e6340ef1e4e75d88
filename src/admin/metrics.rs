//! `/metrics`: what this replica is and has, in the OpenMetrics text format 1.0.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::routes::Table;

/// The content type of the text (OpenMetrics 1.0, "Content type").
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is measured. Everything is read when it is asked for: until then it costs nothing.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Where triggers are routed.
    pub routes: Arc<Table>,
    /// Whether every route is known.
    pub synced: watch::Receiver<bool>,
    /// Whether this replica holds the lease; `None` where there is no lease.
    pub leading: Option<watch::Receiver<bool>>,
}

impl Metrics {
    /// The text.
    ///
    /// # Errors
    /// None that is known of: a text can be written to.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix("webhook_operator");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version of the program", version);
        gauge(&mut registry, "routes", "Webhooks that have a URL here", self.routes.len() as i64);
        let synced = i64::from(*self.synced.borrow());
        gauge(&mut registry, "synced", "Whether all resources are known", synced);
        if let Some(leading) = &self.leading {
            let leading = i64::from(*leading.borrow());
            gauge(&mut registry, "leader", "Whether this replica writes statuses", leading);
        }
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: i64) {
    let gauge: Gauge = Gauge::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_says_what_the_replica_has() {
        let mut metrics = Metrics {
            routes: Arc::default(),
            synced: watch::channel(true).1,
            leading: Some(watch::channel(false).1),
        };
        let text = metrics.text().unwrap();
        for line in [
            concat!("webhook_operator_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
            "webhook_operator_routes 0",
            "webhook_operator_synced 1",
            "webhook_operator_leader 0",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        metrics.leading = None;
        assert!(!metrics.text().unwrap().contains("leader"));
    }
}
