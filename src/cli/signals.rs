//! SIGTERM and SIGINT: the first one drains, the second one exits immediately.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Turns true at the first signal; the second one exits the process.
///
/// # Errors
/// The signal handlers cannot be installed.
pub fn stop() -> io::Result<watch::Receiver<bool>> {
    let (sender, receiver) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => 143,
                _ = interrupt.recv() => 130,
            }
        };
        next().await;
        tracing::info!("stopping: draining requests in flight");
        sender.send_replace(true);
        std::process::exit(next().await);
    });
    Ok(receiver)
}
