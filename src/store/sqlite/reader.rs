//! A thread that reads, on a connection of its own: it neither waits for the writer nor makes it wait.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::failure::Failure;
use super::writer::Shared;
use crate::store::{Answer, StoreError};

/// How many reads may wait.
const WAITING: usize = 1024;

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// The way to a reading thread.
#[derive(Clone, Debug)]
pub struct Reader {
    jobs: SyncSender<Job>,
    shared: Arc<Shared>,
}

impl Reader {
    /// Starts a thread for a connection.
    pub fn start(name: &str, connection: Connection, shared: Arc<Shared>) -> std::io::Result<Self> {
        let (jobs, waiting) = sync_channel::<Job>(WAITING);
        std::thread::Builder::new()
            .name(name.into())
            .spawn(move || waiting.iter().for_each(|job| job(&connection)))?;
        Ok(Self { jobs, shared })
    }

    /// What `read` reads. A file that cannot be read is the end of the store: what was promised of it
    /// may be lost.
    pub fn ask<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Answer<T> {
        let (reply, answer) = oneshot::channel();
        let shared = self.shared.clone();
        let job: Job = Box::new(move |connection| {
            let _ = reply.send(read(connection).map_err(|error| explained(&shared, &error)));
        });
        let send = || self.jobs.try_send(job).map_err(|_| StoreError::Busy);
        let sent = self.shared.check().and_then(|()| send());
        Box::pin(async move {
            sent?;
            answer.await.unwrap_or(Err(StoreError::Busy))
        })
    }
}

fn explained(shared: &Shared, error: &rusqlite::Error) -> StoreError {
    match Failure::of(error) {
        Failure::Transient(known) => known,
        Failure::Own => StoreError::Rejected(error.to_string().into()),
        Failure::Fatal => shared.fail(&error.to_string()),
    }
}
