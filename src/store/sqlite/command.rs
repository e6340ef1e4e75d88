//! Commands for the writer thread.

use tokio::sync::oneshot;

use super::engine::Engine;
use crate::store::StoreError;

/// The result of an operation. The outer error is of the database and rolls back the transaction;
/// the inner one is returned to the caller only.
pub type OperationResult<T> = rusqlite::Result<Result<T, StoreError>>;

/// An operation, and how the writer runs it.
pub struct Command {
    /// How the writer runs the operation.
    pub kind: CommandKind,
    /// The operation.
    pub operation: Box<dyn Operation>,
}

/// How the writer runs an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandKind {
    /// Stores an event, in one transaction with other writes. Rejected if the store is full.
    Accept {
        /// Length of the event's body.
        bytes: usize,
    },
    /// Writes, in one transaction with other writes.
    Write,
    /// Runs outside a transaction, after the writes of the same batch.
    Read,
}

/// An operation that keeps its result until the transaction is committed or rolled back.
pub trait Operation: Send {
    /// Runs the operation. It runs again if another operation of the transaction failed.
    ///
    /// # Errors
    /// An error of the database. The transaction has to be rolled back.
    fn run(&mut self, engine: &mut Engine) -> rusqlite::Result<()>;

    /// Sends the result to the caller, or the error if the commit failed.
    fn finish(self: Box<Self>, committed: Result<(), StoreError>);
}

struct PendingOperation<T, F> {
    run: F,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, F: FnMut(&mut Engine) -> OperationResult<T> + Send> Operation
    for PendingOperation<T, F>
{
    fn run(&mut self, engine: &mut Engine) -> rusqlite::Result<()> {
        self.result = Some((self.run)(engine)?);
        Ok(())
    }

    fn finish(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { result, reply, .. } = *self;
        let result = committed.and_then(|()| result.unwrap_or(Err(StoreError::Busy)));
        // Fails if the caller has dropped its future.
        let _ = reply.send(result);
    }
}

/// Creates an operation that sends its result to `reply`.
pub fn operation<T: Send + 'static>(
    run: impl FnMut(&mut Engine) -> OperationResult<T> + Send + 'static,
    reply: oneshot::Sender<Result<T, StoreError>>,
) -> Box<dyn Operation> {
    Box::new(PendingOperation { run, result: None, reply })
}
