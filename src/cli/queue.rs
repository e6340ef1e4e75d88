//! Flags of the queue, and the store that they open.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use super::options::{bytes, time};
use crate::moment::Moment;
use crate::store::Store;
use crate::store::postgres::{self, DatabaseUrl, Password, Postgres};
use crate::store::sqlite::{Options, Sqlite};

/// Folder of the queue in the data directory.
const FOLDER: &str = "queue";

/// How long a start waits for a database that is unavailable.
const PATIENCE: Duration = Duration::from_secs(30);

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
    /// PostgreSQL database of the queue, which several replicas may share:
    /// postgres://USER@HOST/DATABASE, with sslmode=verify-full (default), require or disable, and
    /// sslrootcert=FILE. Without it, the queue is a file in the data directory
    // Text, because an error of the parser would repeat a password that it must not contain.
    #[arg(long, env = "WEBHOOK_OPERATOR_STORE_URL", hide_env_values = true, value_name = "URL")]
    store_url: Option<String>,
    /// File with the password of the database user, read again for each connection [default: the
    /// environment variable PGPASSWORD]
    #[arg(
        long,
        env = "WEBHOOK_OPERATOR_STORE_PASSWORD_FILE",
        requires = "store_url",
        value_name = "FILE"
    )]
    store_password_file: Option<PathBuf>,
    /// Refuse a database without a synchronous standby
    #[arg(long, env = "WEBHOOK_OPERATOR_STORE_REQUIRE_STANDBY", requires = "store_url")]
    store_require_standby: bool,
}

impl QueueArgs {
    /// Opens the queue in the database, if there is one, or in a data directory.
    pub fn open(&self, data_dir: &Path) -> anyhow::Result<Arc<dyn Store>> {
        match &self.store_url {
            Some(url) => self.open_postgres(url),
            None => self.open_sqlite(data_dir),
        }
    }

    fn open_sqlite(&self, data_dir: &Path) -> anyhow::Result<Arc<dyn Store>> {
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

    fn open_postgres(&self, url: &str) -> anyhow::Result<Arc<dyn Store>> {
        let url: DatabaseUrl = url.parse().context("the URL of the database (--store-url)")?;
        let name = url.to_string();
        let options = postgres::Options {
            url,
            password: self.password()?,
            requires_standby: self.store_require_standby,
            retention: self.retention,
            max_bytes: self.max_store_bytes as u64,
            patience: PATIENCE,
        };
        let store = Postgres::open(options, Moment::now)
            .with_context(|| format!("cannot open the queue in {name} (--store-url)"))?;
        Ok(Arc::new(store))
    }

    fn password(&self) -> anyhow::Result<Password> {
        if let Some(file) = &self.store_password_file {
            if !file.is_file() {
                bail!("cannot read the file {} (--store-password-file)", file.display());
            }
            return Ok(Password::File(file.clone()));
        }
        let value = std::env::var("PGPASSWORD").ok().filter(|value| !value.is_empty());
        Ok(value.map_or(Password::None, Password::Value))
    }
}
