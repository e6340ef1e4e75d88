//! The flags of the queue, and its store.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::options::{bytes, time};
use crate::moment::Moment;
use crate::store::Store;
use crate::store::sqlite::{Options, Sqlite};

/// The folder of the queue within the data dir.
const FOLDER: &str = "queue";

/// Flags of the queue.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Queue")]
pub struct QueueArgs {
    /// How long deliveries are kept after they have ended, dead ones too: they can be replayed for so long
    #[arg(long, env = "WEBHOOK_OPERATOR_RETENTION", default_value = "7d", value_parser = time, value_name = "TIME")]
    retention: Duration,
    /// The most bytes that the queue may take on the disk: then what has ended goes before its time, and when
    /// nothing is left that has ended, triggers are refused with 503
    #[arg(long, env = "WEBHOOK_OPERATOR_MAX_STORE_BYTES", default_value = "8Gi", value_parser = bytes, value_name = "BYTES")]
    max_store_bytes: usize,
    /// How long the undelivered events of an app that was deleted wait for it to be created again in the same
    /// namespace; after that they end as dead. Starts again when the operator restarts
    #[arg(long, env = "WEBHOOK_OPERATOR_APP_DELETION_GRACE", default_value = "1h", value_parser = time, value_name = "TIME")]
    pub app_deletion_grace: Duration,
}

impl QueueArgs {
    /// Opens the queue of a data dir.
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
