//! Graceful shutdown: announce it, close the ports, wait for open connections.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use tokio::sync::watch;

/// The phase of the shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// No shutdown.
    Serving,
    /// Everything is still served, but a connection closes after its next response, so that its
    /// client reconnects to another replica.
    Stopping,
    /// Ports and idle connections are closed.
    Closing,
}

/// Publishes [`Phase::Stopping`] when `stop` becomes true, and [`Phase::Closing`] after `delay`.
/// Requires a runtime.
pub fn phases(mut stop: watch::Receiver<bool>, delay: Duration) -> watch::Receiver<Phase> {
    let (sender, receiver) = watch::channel(Phase::Serving);
    tokio::spawn(async move {
        // A dropped sender means shutdown as well.
        let _ = stop.wait_for(|stop| *stop).await;
        sender.send_replace(Phase::Stopping);
        tokio::time::sleep(delay).await;
        sender.send_replace(Phase::Closing);
        // Keep the sender, so that receivers do not see a closed channel.
        sender.closed().await;
    });
    receiver
}

/// The shutdown phase, and the number of open connections.
#[derive(Clone, Debug)]
pub struct Drain {
    phase: watch::Receiver<Phase>,
    /// Each connection holds a clone; when the last is dropped, all have ended.
    open: Arc<watch::Sender<()>>,
}

impl Drain {
    /// Creates a drain that follows these phases.
    pub fn new(phase: watch::Receiver<Phase>) -> Self {
        Self { phase, open: Arc::new(watch::channel(()).0) }
    }

    /// Resolves when the ports must close.
    pub async fn begun(&mut self) {
        let _ = self.phase.wait_for(|phase| *phase == Phase::Closing).await;
    }

    /// Resolves when all connections of this drain have ended.
    pub async fn finished(self) {
        let mut open = self.open.subscribe();
        drop(self);
        while open.changed().await.is_ok() {}
    }

    /// A view of the phase for one connection.
    pub(super) fn watch(&self) -> PhaseWatch {
        PhaseWatch { receiver: self.phase.clone(), phase: Phase::Serving, wait: None }
    }
}

/// A phase that is read often and changes twice.
pub(super) struct PhaseWatch {
    receiver: watch::Receiver<Phase>,
    phase: Phase,
    wait: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl PhaseWatch {
    /// The current phase. The task is woken when it changes: the wait is polled once, which
    /// suffices because a task keeps its waker. Until it changes, a read is enough.
    pub fn now(&mut self, cx: &mut Context<'_>) -> Phase {
        while self.wait.is_none() || self.receiver.has_changed().unwrap_or(true) {
            if self.receiver.has_changed().is_err() {
                return Phase::Closing;
            }
            self.phase = *self.receiver.borrow_and_update();
            let mut receiver = self.receiver.clone();
            let wait = self.wait.insert(Box::pin(async move { drop(receiver.changed().await) }));
            if wait.as_mut().poll(cx).is_pending() {
                break;
            }
        }
        self.phase
    }
}
