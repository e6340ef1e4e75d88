//! The limit of what is answered once it is on the disk: clients hand a body to one thread, which
//! appends all that wait to a file, syncs it once and answers them (bare group commit).

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// A body, and whom to tell that it is safe.
type Handed = (Vec<u8>, oneshot::Sender<()>);

/// Bodies per second that so many clients, each with one under way, get onto the disk of a folder.
pub async fn per_second(folder: &Path, clients: usize, body: &[u8], seconds: f64) -> Result<f64> {
    let file = tempfile::tempfile_in(folder)?;
    let body = body.to_vec();
    let measured = tokio::task::spawn_blocking(move || {
        let (hand, handed) = channel();
        let writer = thread::spawn(move || append(file, &handed));
        let started = Instant::now();
        let count = send(clients, &body, hand, started + Duration::from_secs_f64(seconds))?;
        let took = started.elapsed();
        writer.join().map_err(|_| anyhow!("the writing thread panicked"))??;
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
        Ok::<_, anyhow::Error>(count as f64 / took.as_secs_f64())
    });
    measured.await?
}

fn append(mut file: File, handed: &Receiver<Handed>) -> std::io::Result<()> {
    let (mut bytes, mut waiting) = (Vec::new(), Vec::new());
    while let Ok(first) = handed.recv() {
        for (body, answer) in std::iter::once(first).chain(handed.try_iter()) {
            bytes.extend_from_slice(&body);
            waiting.push(answer);
        }
        file.write_all(&bytes)?;
        file.sync_data()?;
        bytes.clear();
        for answer in waiting.drain(..) {
            // A client that is gone needs no answer.
            let _ = answer.send(());
        }
    }
    Ok(())
}

/// How many bodies were answered.
fn send(clients: usize, body: &[u8], hand: Sender<Handed>, until: Instant) -> Result<u64> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let mut all = JoinSet::new();
        for _ in 0..clients {
            let (hand, body) = (hand.clone(), body.to_vec());
            all.spawn_local(async move {
                let mut count = 0;
                while Instant::now() < until {
                    let (answer, answered) = oneshot::channel();
                    hand.send((body.clone(), answer))?;
                    answered.await?;
                    count += 1;
                }
                Ok::<u64, anyhow::Error>(count)
            });
        }
        drop(hand);
        all.join_all().await.into_iter().sum()
    })
}

#[cfg(test)]
mod tests {
    use super::per_second;

    #[tokio::test]
    async fn more_clients_share_a_sync_and_the_writer_ends_with_them() {
        let folder = tempfile::tempdir().unwrap();
        assert!(per_second(folder.path(), 8, b"body", 0.05).await.unwrap() > 0.0);
    }
}
