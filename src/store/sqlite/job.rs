//! Operations on their way to the writing thread.

use tokio::sync::oneshot;

use super::engine::Engine;
use crate::store::StoreError;

/// What an operation comes to: the engine's errors outside, those of the caller inside.
pub type Done<T> = rusqlite::Result<Result<T, StoreError>>;

/// An operation, and when the thread does it.
pub struct Command {
    /// When.
    pub kind: Kind,
    /// The operation.
    pub job: Box<dyn Job>,
}

/// When an operation is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// With other writes in one transaction; its event has so many bytes.
    Accept {
        /// Bytes of the body.
        bytes: usize,
    },
    /// With other writes in one transaction.
    Write,
    /// After the writes that came with it, outside a transaction.
    Read,
}

/// An operation that keeps its result until it is known whether the transaction was committed.
pub trait Job: Send {
    /// Does it. It is done again when the transaction was rolled back for another operation's fault.
    ///
    /// # Errors
    /// The engine's: the transaction cannot be committed.
    fn run(&mut self, engine: &mut Engine) -> rusqlite::Result<()>;

    /// Answers the caller: with the result, or with the error that came in its place.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Operation<T, F> {
    run: F,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, F: FnMut(&mut Engine) -> Done<T> + Send> Job for Operation<T, F> {
    fn run(&mut self, engine: &mut Engine) -> rusqlite::Result<()> {
        self.result = Some((self.run)(engine)?);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { result, reply, .. } = *self;
        let result = committed.and_then(|()| result.unwrap_or(Err(StoreError::Busy)));
        // The caller may be gone.
        let _ = reply.send(result);
    }
}

/// A job that answers to `reply`.
pub fn job<T: Send + 'static>(
    run: impl FnMut(&mut Engine) -> Done<T> + Send + 'static,
    reply: oneshot::Sender<Result<T, StoreError>>,
) -> Box<dyn Job> {
    Box::new(Operation { run, result: None, reply })
}
