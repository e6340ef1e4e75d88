//! Leader election: only the holder of the lease writes statuses, and it stops before the lease
//! expires.

use tokio::select;
use tokio::sync::watch::{Receiver, Sender};

use super::lease::LeaderLease;
use super::running::until_true;
use super::statuses::Statuses;

/// Competes for the lease until `stop` turns true, and writes statuses while holding it.
///
/// It waits for the first complete lists. Otherwise the status of a webhook could report that its
/// app does not exist, only because the app was not listed yet.
pub async fn lead(
    mut lease: LeaderLease,
    statuses: Statuses,
    leading: Sender<bool>,
    mut synced: Receiver<bool>,
    mut stop: Receiver<bool>,
) {
    select! {
        () = until_true(&mut stop) => return,
        () = until_true(&mut synced) => {}
    }
    while !*stop.borrow() {
        select! {
            () = until_true(&mut stop) => {}
            () = hold(&mut lease, &statuses, &leading) => {}
        }
    }
    leading.send_replace(false);
    lease.release().await;
}

/// From acquiring the lease to losing it.
async fn hold(lease: &mut LeaderLease, statuses: &Statuses, leading: &Sender<bool>) {
    lease.acquire().await;
    tracing::info!("this replica has the lease and writes statuses");
    leading.send_replace(true);
    select! {
        biased;
        () = lease.renew() => {}
        () = statuses.write() => {}
    }
    leading.send_replace(false);
    tracing::warn!("this replica has lost the lease");
}
