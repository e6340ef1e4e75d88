//! SIGTERM and SIGINT: the first asks to stop, the second insists.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Turns true at the first signal; the second one ends the process at once.
///
/// # Errors
/// When the system refuses the handlers.
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
        tracing::info!("stopping: what is under way is finished first");
        sender.send_replace(true);
        std::process::exit(next().await);
    });
    Ok(receiver)
}
