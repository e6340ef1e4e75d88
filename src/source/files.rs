//! Resources from a folder of YAML, and their statuses beside it: a source that needs no cluster.

mod atomic;
mod core;
mod created;
mod documents;
mod error;
mod identity;
mod ledger;
pub mod look;
mod manifest;
mod parallel;
mod pass;
mod problems;
mod publish;
mod reader;
mod scan;
mod settle;
mod status_files;
#[cfg(test)]
mod tests;

pub use error::FilesError;
pub use identity::identity_key;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use self::core::Core;
use super::Brain;

/// How often the folder is looked at. A change is in force after two looks: a file counts when it
/// looked the same twice, so that one that is half written does not.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long a very large folder may be left alone, so that looking at it takes a tenth of a core.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(1);

/// How long a disk that takes no status files is left alone.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The resources of a folder.
///
/// What an API server would refuse is refused here: the object stays as it was, and a warning says
/// where and why. See [`WebhookStore`](super::WebhookStore) for webhooks that are made at run time.
#[derive(Debug)]
pub struct Files {
    core: Arc<Core>,
}

impl Files {
    /// Takes hold of a data directory, which is made where it is missing. Nothing is read yet.
    ///
    /// # Errors
    /// [`FilesError::Manifests`] when the folder cannot be listed, [`FilesError::Locked`] when
    /// another process has the data directory, [`FilesError::Data`] when it cannot be written.
    pub fn open(
        manifests: PathBuf,
        data_dir: PathBuf,
        brain: Arc<Brain>,
    ) -> Result<Self, FilesError> {
        Ok(Self { core: Arc::new(Core::open(manifests, data_dir, brain)?) })
    }

    /// Reads everything for the first time. When this returns, the brain knows it and the status
    /// files are written. Blocks: for the time before serving, or a thread of its own.
    ///
    /// # Errors
    /// [`FilesError::Manifests`] when the folder cannot be listed, [`FilesError::Data`] when the
    /// data directory cannot be read. What is wrong with a single file is a warning.
    pub fn load(&self) -> Result<(), FilesError> {
        self.core.load()
    }

    /// Follows the folder and writes statuses, until told to stop. For one caller at a time.
    pub async fn run(self: Arc<Self>, stop: watch::Receiver<bool>) {
        tokio::join!(self.follow(stop.clone()), self.publish(stop));
    }

    async fn follow(&self, mut stop: watch::Receiver<bool>) {
        let mut pause = LOOK_EVERY;
        while !stopped_within(&mut stop, pause).await {
            let begun = Instant::now();
            let core = self.core.clone();
            finish(tokio::task::spawn_blocking(move || core.poll()).await);
            pause = (begun.elapsed() * 10).clamp(LOOK_EVERY, LOOK_AT_LEAST_EVERY);
        }
    }

    async fn publish(&self, mut stop: watch::Receiver<bool>) {
        let pending = self.core.brain.pending().clone();
        loop {
            let objects = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                objects = pending.take() => objects,
            };
            let failed = self.write(objects).await;
            if !failed.is_empty() {
                let is_over = stopped_within(&mut stop, TRY_AGAIN_AFTER).await;
                pending.add(failed, []);
                if is_over {
                    break;
                }
            }
        }
        self.write(pending.take_all()).await;
    }

    async fn write(&self, objects: Vec<crate::plan::ObjectRef>) -> Vec<crate::plan::ObjectRef> {
        let core = self.core.clone();
        finish(tokio::task::spawn_blocking(move || core.publish(&objects)).await)
    }
}

/// The outcome of blocking work; a panic of it goes on here.
fn finish<T: Default>(outcome: Result<T, tokio::task::JoinError>) -> T {
    match outcome.map_err(tokio::task::JoinError::try_into_panic) {
        Ok(value) => value,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // The runtime is shutting down.
        Err(Err(_)) => T::default(),
    }
}

/// Waits for a while; returns early, and true, when it is time to stop.
async fn stopped_within(stop: &mut watch::Receiver<bool>, pause: Duration) -> bool {
    tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await.is_ok()
}
