//! Flags of the queue, and the store that they open.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::options::{bytes, time};
use crate::moment::Moment;
use crate::store::Store;
use crate::store::sqlite::{Options, Sqlite};

/// Folder of the queue in the data directory.
const FOLDER: &str = "queue";

/// Flags of the queue.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Queue")]
pub struct QueueArgs {
    /// How long finished deliveries, dead ones included, are kept and can be replayed
    #[arg(long, env = "WEBHOOK_OPERATOR_RETENTION", default_value = "7d", value_parser = time, value_name = "TIME")]
    retention: Duration,
    /// Disk space of the queue, in bytes. When it is full, finished deliveries are evicted early; if none is
    /// left, triggers are refused with 503
    #[arg(long, env = "WEBHOOK_OPERATOR_MAX_STORE_BYTES", default_value = "8Gi", value_parser = bytes, value_name = "BYTES")]
    max_store_bytes: usize,
    /// How long undelivered events of a deleted app wait for the app to be created again in the same
    /// namespace before they become dead. The time starts again when the operator restarts
    #[arg(long, env = "WEBHOOK_OPERATOR_APP_DELETION_GRACE", default_value = "1h", value_parser = time, value_name = "TIME")]
    pub app_deletion_grace: Duration,
}

impl QueueArgs {
    /// Opens the queue in a data directory.
    pub fn open(&self, data_dir: &Path) -> anyhow::Result<Arc<dyn Store>> {
        let options = Options {
            folder: data_dir.join(FOLDER),
            retention: self.retention,
            max_bytes: self.max_store_bytes as u64,
        };
        let store = Sqlite::open(&options, Moment::now).with_context(|| {
            format!("cannot open the queue in {} (--data-dir)", options.folder.display())
        })?;
        Ok(Arc::new(store))
    }
}
