//! How a server ends: first it is only about to, then it closes its ports, then it waits for what
//! is still under way.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use tokio::sync::watch;

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It is not in sight.
    Serving,
    /// Everything is served, but a connection ends with its next answer, so that its client comes
    /// back elsewhere.
    Stopping,
    /// The ports are closed and idle connections end.
    Closing,
}

/// The phases that follow when `stop` turns true, `delay` apart. Needs a runtime.
pub fn phases(mut stop: watch::Receiver<bool>, delay: Duration) -> watch::Receiver<Phase> {
    let (sender, receiver) = watch::channel(Phase::Serving);
    tokio::spawn(async move {
        // A signal that can no longer come is as good as one that came.
        let _ = stop.wait_for(|stop| *stop).await;
        sender.send_replace(Phase::Stopping);
        tokio::time::sleep(delay).await;
        sender.send_replace(Phase::Closing);
        // Kept, so that receivers do not see a closed channel.
        sender.closed().await;
    });
    receiver
}

/// The phase, and the count of what is still open.
#[derive(Clone, Debug)]
pub struct Drain {
    phase: watch::Receiver<Phase>,
    /// Each connection holds a clone; when the last is gone, all are done.
    open: Arc<watch::Sender<()>>,
}

impl Drain {
    /// A drain that goes through these phases.
    pub fn new(phase: watch::Receiver<Phase>) -> Self {
        Self { phase, open: Arc::new(watch::channel(()).0) }
    }

    /// Resolves when the ports are to close.
    pub async fn begun(&mut self) {
        let _ = self.phase.wait_for(|phase| *phase == Phase::Closing).await;
    }

    /// Resolves when every connection that was accepted under this drain has ended.
    pub async fn finished(self) {
        let mut open = self.open.subscribe();
        drop(self);
        while open.changed().await.is_ok() {}
    }

    /// The phase, for one connection to look at.
    pub(super) fn watch(&self) -> PhaseWatch {
        PhaseWatch { receiver: self.phase.clone(), phase: Phase::Serving, wait: None }
    }
}

/// A phase that is looked at often and changes twice.
pub(super) struct PhaseWatch {
    receiver: watch::Receiver<Phase>,
    phase: Phase,
    wait: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl PhaseWatch {
    /// The phase now. The task is woken when it changes: the wait was polled once, and a task has
    /// the same waker all its life. Until then a look is enough.
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
