//! The store's record of the namespace that owns each app UUID, kept up to date with the planner.
//!
//! The record outlives the app and the process: after a restart, an app in another namespace must
//! not get the UUID of a deleted app.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

use super::PlanRunner;
use crate::moment::Moment;
use crate::store::{Owner, Queue, StoreError};

/// Minimum time between two writes, so that many changes share one write.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often the records of apps that exist are refreshed, so that they are not pruned.
const REFRESH: Duration = Duration::from_secs(24 * 3600);

/// Restores the recorded owners into the planner. Call it before the first change.
///
/// # Errors
/// When the store cannot be read.
pub async fn restore(runner: &PlanRunner, queue: &dyn Queue) -> Result<(), StoreError> {
    let owners = queue.owners().await?.into_iter();
    runner.planner().restore_owners(owners.map(|owner| (owner.uuid, owner.namespace)));
    Ok(())
}

/// Records the owners once all apps are known, then each change. Returns when the store fails or
/// the source of changes ends.
pub async fn record(
    runner: Arc<PlanRunner>,
    queue: Arc<dyn Queue>,
    mut synced: watch::Receiver<bool>,
    clock: fn() -> Moment,
) {
    if synced.wait_for(|synced| *synced).await.is_err() {
        return;
    }
    runner.planner().record_owners();
    let mut versions = runner.version();
    let mut pending: Vec<(Uuid, Arc<str>)> = Vec::new();
    let mut refresh_at = Instant::now();
    loop {
        pending.extend(runner.planner().take_changed_owners());
        if refresh_at <= Instant::now() {
            pending.extend(runner.planner().present_owners());
            refresh_at = Instant::now() + REFRESH;
        }
        match write(&*queue, &pending, clock()).await {
            Ok(()) => pending.clear(),
            Err(StoreError::Failed(_)) => return,
            Err(error) => {
                tracing::debug!(%error, "cannot record the owners of UUIDs, retrying later")
            }
        }
        sleep(INTERVAL).await;
        let wake = if pending.is_empty() { refresh_at } else { Instant::now() };
        if let Ok(Err(_)) = timeout_at(wake, versions.changed()).await {
            return;
        }
    }
}

async fn write(
    queue: &dyn Queue,
    owners: &[(Uuid, Arc<str>)],
    now: Moment,
) -> Result<(), StoreError> {
    if owners.is_empty() {
        return Ok(());
    }
    let owner =
        |(uuid, namespace): &(Uuid, Arc<str>)| Owner { uuid: *uuid, namespace: namespace.clone() };
    queue.record_owners(owners.iter().map(owner).collect(), now).await
}
