//! `/metrics`: what this replica is and has, in the OpenMetrics text format 1.0.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use uuid::Uuid;

use crate::routes::{App, Table};
use crate::store::{Figures, Health, Store};

/// The content type of the text (OpenMetrics 1.0, "Content type").
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is measured. Everything is read when it is asked for: until then it costs nothing.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Where triggers are routed.
    pub routes: Arc<Table>,
    /// Whether every route is known.
    pub synced: watch::Receiver<bool>,
    /// What waits to be delivered.
    pub store: Arc<dyn Store>,
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
        self.queue(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

impl Metrics {
    fn queue(&self, registry: &mut Registry) {
        let Figures { bytes, max_bytes, undelivered, .. } = self.store.figures();
        gauge_of_apps(registry, &undelivered, |app| self.routes.app(app));
        let number = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        gauge(registry, "store_used_bytes", "Bytes of the store's file in use", number(bytes));
        gauge(registry, "store_max_bytes", "Bytes that may be in use", number(max_bytes));
        let serving = i64::from(*self.store.health().borrow() == Health::Serving);
        gauge(registry, "store_serving", "Whether the store takes events", serving);
    }
}

/// What names an app; those that are gone are one, without a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AppLabels {
    namespace: String,
    app: String,
}

fn gauge_of_apps(
    registry: &mut Registry,
    counts: &[(Uuid, u64)],
    app: impl Fn(Uuid) -> Option<Arc<App>>,
) {
    let family = Family::<AppLabels, Gauge>::default();
    for (uuid, count) in counts {
        let app = app(*uuid);
        let name = |part: fn(&App) -> &str| app.as_deref().map_or("", part).to_owned();
        let labels =
            AppLabels { namespace: name(|app| &app.namespace), app: name(|app| &app.name) };
        family.get_or_create(&labels).inc_by(i64::try_from(*count).unwrap_or(i64::MAX));
    }
    let help = "Deliveries of an app that have not ended";
    registry.register("queue_undelivered", help, family);
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: i64) {
    let gauge: Gauge = Gauge::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::moment::Moment;
    use crate::store::sqlite::{Options, Sqlite};

    #[test]
    fn the_text_says_what_the_replica_has() {
        let folder = tempfile::tempdir().unwrap();
        let retention = Duration::from_secs(1);
        let options = Options { folder: folder.path().into(), retention, max_bytes: 1 << 20 };
        let mut metrics = Metrics {
            store: Arc::new(Sqlite::open(&options, Moment::now).unwrap()),
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
            "webhook_operator_store_max_bytes 1048576",
            "webhook_operator_store_serving 1",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        metrics.leading = None;
        assert!(!metrics.text().unwrap().contains("leader"));
    }
}
