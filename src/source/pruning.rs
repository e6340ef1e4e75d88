//! Lets the store and the meters forget webhooks that were deleted and of which nothing is kept any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::Brain;
use crate::plan::Key;
use crate::routes::Id;
use crate::store::{Store, StoreError, WebhookExists};

/// Between two passes, at least: a pass looks at every webhook of the store.
const PAUSE: Duration = Duration::from_secs(30);

/// Between two passes, at most: what is kept of a deleted webhook ends with time.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Prunes once every webhook is known, and again after changes, until the store fails or the source ends.
pub async fn prune(brain: Arc<Brain>, store: Arc<dyn Store>, mut synced: watch::Receiver<bool>) {
    if synced.wait_for(|synced| *synced).await.is_err() {
        return;
    }
    let mut versions = brain.version();
    let exists = webhook_exists(&brain);
    loop {
        versions.mark_unchanged();
        forget_meters(&brain);
        match pass(&*store, &exists).await {
            Ok(()) => {}
            Err(StoreError::Failed(_)) => return,
            Err(error) => tracing::debug!(%error, "deleted webhooks are pruned later"),
        }
        sleep(PAUSE).await;
        if let Ok(Err(_)) = timeout(LONGEST_PAUSE - PAUSE, versions.changed()).await {
            return;
        }
    }
}

async fn pass(store: &dyn Store, exists: &WebhookExists) -> Result<(), StoreError> {
    while store.prune_webhooks(exists.clone()).await? {}
    Ok(())
}

fn webhook_exists(brain: &Arc<Brain>) -> WebhookExists {
    let brain = Arc::downgrade(brain);
    Arc::new(move |stored| {
        let Some(brain) = brain.upgrade() else { return true };
        let app = stored.app.uuid;
        let route = brain.routes().get(Id { app, webhook: stored.uuid });
        // A webhook that was renamed has the name of its last event in the store; one that is stalled has no route.
        let is_served = route.is_some_and(|route| route.app.id == stored.app);
        let key = Key { namespace: stored.namespace.clone(), name: stored.name.clone() };
        is_served || brain.planner().is_webhook_of(&key, stored.uuid, app)
    })
}

fn forget_meters(brain: &Brain) {
    let routes = brain.routes();
    if let Some(meters) = routes.meters() {
        meters.webhooks.retain(|id| routes.get(id).is_some());
        meters.apps.retain(|app| routes.app(app).is_some());
    }
}
