//! A read-only thread with its own connection. In WAL mode, it neither waits for the writer nor
//! delays it.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::failure::Failure;
use super::writer::SharedState;
use crate::store::{StoreError, StoreFuture};

/// Capacity of the queue of reads.
const READ_QUEUE: usize = 1024;

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// Handle to a reading thread.
#[derive(Clone, Debug)]
pub struct Reader {
    reads: SyncSender<Read>,
    shared: Arc<SharedState>,
}

impl Reader {
    /// Starts a thread that owns the connection.
    pub fn start(
        name: &str,
        connection: Connection,
        shared: Arc<SharedState>,
    ) -> std::io::Result<Self> {
        let (reads, queue) = sync_channel::<Read>(READ_QUEUE);
        std::thread::Builder::new()
            .name(name.into())
            .spawn(move || queue.iter().for_each(|read| read(&connection)))?;
        Ok(Self { reads, shared })
    }

    /// Runs `read` on the thread, and returns its result. The store fails if the file cannot be
    /// read, as stored events may be lost.
    pub fn submit<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> StoreFuture<T> {
        let (reply, answer) = oneshot::channel();
        let shared = self.shared.clone();
        let read: Read = Box::new(move |connection| {
            let _ = reply.send(read(connection).map_err(|error| to_store_error(&shared, &error)));
        });
        let send = || self.reads.try_send(read).map_err(|_| StoreError::Busy);
        let sent = self.shared.check().and_then(|()| send());
        Box::pin(async move {
            sent?;
            answer.await.unwrap_or(Err(StoreError::Busy))
        })
    }
}

fn to_store_error(shared: &SharedState, error: &rusqlite::Error) -> StoreError {
    match Failure::of(error) {
        Failure::Transient(known) => known,
        Failure::Isolated => StoreError::Rejected(error.to_string().into()),
        Failure::Fatal => shared.fail(&error.to_string()),
    }
}
