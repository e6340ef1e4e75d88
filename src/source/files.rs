//! Resources from a folder of YAML files, with statuses written to the data directory. This source
//! needs no cluster. The decisions are in `docs/design/yaml-source.md`.

mod atomic;
mod core;
mod created;
mod desired;
mod documents;
mod error;
mod evaluate;
mod identity;
pub mod look;
mod manifest;
mod manifests;
mod parallel;
mod problems;
mod publish;
mod read;
mod reconcile;
mod scan;
mod status_files;
#[cfg(test)]
mod tests;

pub use error::FilesError;
pub use identity::identity_key;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinError;

use self::core::Core;
use super::PlanRunner;
use crate::plan::ObjectRef;

/// How often the folder is scanned. A change is applied after two scans: a file is read only if it
/// looked the same twice, so that a half-written file is not.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// The longest scan interval. The interval grows with the folder, so that scanning takes a tenth of
/// a core.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Delay before status files that could not be written are written again.
const WRITE_RETRY_DELAY: Duration = Duration::from_secs(1);

/// The resources of a folder.
///
/// Objects that an API server would reject are rejected: the object keeps its previous state, and a
/// warning gives the place and the reason. See [`WebhookStore`](super::WebhookStore) for webhooks
/// created at run time.
#[derive(Debug)]
pub struct Files {
    core: Arc<Core>,
}

impl Files {
    /// Creates the data directory if it is missing, and locks it. Nothing is read yet.
    ///
    /// # Errors
    /// [`FilesError::Manifests`] if the folder cannot be listed, [`FilesError::Locked`] if another
    /// process uses the data directory, [`FilesError::Data`] if it cannot be written.
    pub fn open(
        manifests: PathBuf,
        data_dir: PathBuf,
        runner: Arc<PlanRunner>,
    ) -> Result<Self, FilesError> {
        Ok(Self { core: Arc::new(Core::open(manifests, data_dir, runner)?) })
    }

    /// Reads all files for the first time. When this returns, the runner has applied them and the
    /// status files are written. This blocks: call it before serving, or on a separate thread.
    ///
    /// # Errors
    /// [`FilesError::Manifests`] if the folder cannot be listed, [`FilesError::Data`] if the data
    /// directory cannot be read. Errors in a single file are warnings.
    pub fn load(&self) -> Result<(), FilesError> {
        self.core.load()
    }

    /// Follows the folder and writes statuses until `stop` turns true. For one caller at a time.
    pub async fn run(self: Arc<Self>, stop: watch::Receiver<bool>) {
        tokio::join!(self.poll_manifests(stop.clone()), self.publish(stop));
    }

    async fn poll_manifests(&self, mut stop: watch::Receiver<bool>) {
        let mut pause = POLL_INTERVAL;
        while !stopped_within(&mut stop, pause).await {
            let started = Instant::now();
            propagate_panic(self.blocking(Core::poll).await);
            pause = (started.elapsed() * 10).clamp(POLL_INTERVAL, MAX_POLL_INTERVAL);
        }
    }

    async fn publish(&self, mut stop: watch::Receiver<bool>) {
        let pending = self.core.runner.pending().clone();
        loop {
            let objects = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                objects = pending.take() => objects,
            };
            let failed = self.write(objects).await;
            if !failed.is_empty() {
                let stopped = stopped_within(&mut stop, WRITE_RETRY_DELAY).await;
                pending.add(failed, []);
                if stopped {
                    break;
                }
            }
        }
        self.write(pending.take_all()).await;
    }

    async fn write(&self, objects: Vec<ObjectRef>) -> Vec<ObjectRef> {
        propagate_panic(self.blocking(move |core| core.publish(&objects)).await)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Core) -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let core = self.core.clone();
        tokio::task::spawn_blocking(move || work(&core)).await
    }
}

/// The result of a blocking task. Propagates its panic.
fn propagate_panic<T: Default>(result: Result<T, JoinError>) -> T {
    match result.map_err(JoinError::try_into_panic) {
        Ok(value) => value,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // The runtime is shutting down.
        Err(Err(_)) => T::default(),
    }
}

/// Waits for `pause`. Returns true, early, if `stop` turns true.
async fn stopped_within(stop: &mut watch::Receiver<bool>, pause: Duration) -> bool {
    tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await.is_ok()
}
