//! Removes deleted webhooks from the store and from the metrics once no data of them is left.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::PlanRunner;
use crate::plan::Key;
use crate::routes::Id;
use crate::store::{Queue, StoreError, WebhookExists};

/// Minimum time between two passes: a pass reads every webhook of the store.
const MIN_INTERVAL: Duration = Duration::from_secs(30);

/// Maximum time between two passes: the stored data of a deleted webhook expires over time.
const MAX_INTERVAL: Duration = Duration::from_secs(3600);

/// Prunes once all webhooks are known, and again after changes. Returns when the store fails or the
/// source ends.
pub async fn prune(
    runner: Arc<PlanRunner>,
    queue: Arc<dyn Queue>,
    mut synced: watch::Receiver<bool>,
) {
    if synced.wait_for(|synced| *synced).await.is_err() {
        return;
    }
    let mut versions = runner.version();
    let exists = webhook_exists(&runner);
    loop {
        versions.mark_unchanged();
        prune_metrics(&runner);
        match prune_queue(&*queue, &exists).await {
            Ok(()) => {}
            Err(StoreError::Failed(_)) => return,
            Err(error) => tracing::debug!(%error, "cannot prune deleted webhooks, retrying later"),
        }
        sleep(MIN_INTERVAL).await;
        if let Ok(Err(_)) = timeout(MAX_INTERVAL - MIN_INTERVAL, versions.changed()).await {
            return;
        }
    }
}

async fn prune_queue(queue: &dyn Queue, exists: &WebhookExists) -> Result<(), StoreError> {
    while queue.prune_webhooks(exists.clone()).await? {}
    Ok(())
}

fn webhook_exists(runner: &Arc<PlanRunner>) -> WebhookExists {
    let runner = Arc::downgrade(runner);
    Arc::new(move |stored| {
        let Some(runner) = runner.upgrade() else { return true };
        let app = stored.app.uuid;
        let route = runner.routes().get(Id { app, webhook: stored.uuid });
        // A webhook that was renamed has the name of its last event in the store; one that is stalled has no route.
        let is_served = route.is_some_and(|route| route.app.id == stored.app);
        let key = Key { namespace: stored.namespace.clone(), name: stored.name.clone() };
        is_served || runner.planner().is_webhook_of(&key, stored.uuid, app)
    })
}

fn prune_metrics(runner: &PlanRunner) {
    let routes = runner.routes();
    if let Some(meters) = routes.meters() {
        meters.webhooks.retain(|id| routes.get(id).is_some());
        meters.apps.retain(|app| routes.app(app).is_some());
    }
}
