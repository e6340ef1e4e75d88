//! The delivery counts of this process.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::Tallies;
use crate::plan::{Counted, Key};
use crate::resources::{DeliveryCounts, DeliveryMode};
use crate::routes::{AppId, Id, Table};
use crate::store::{
    DeadReason, DeliveryState, Detail, Filter, History, HistoryScope, StoreError, StoredWebhook,
    Tally,
};

/// Counts deliveries of this process's queue, and synchronous calls to listeners.
pub struct LocalTallies {
    history: Arc<dyn History>,
    routes: Arc<Table>,
}

impl LocalTallies {
    /// Reads counts from the store and from the metrics of the routes.
    pub fn new(history: Arc<dyn History>, routes: Arc<Table>) -> Self {
        Self { history, routes }
    }

    async fn queue_counts(&self) -> Result<HashMap<Id, Counted>, StoreError> {
        let tallies = self.history.tallies().await?;
        // The id has no namespace: deliveries that another namespace stored under the same UUID are
        // not counted. Those of a deleted app are, unless two namespaces have some.
        let mut namespaces: HashMap<Uuid, Option<AppId>> = HashMap::new();
        for (webhook, _) in &tallies {
            let only = namespaces.entry(webhook.app.uuid).or_insert(Some(webhook.app));
            *only = only.filter(|app| *app == webhook.app);
        }
        let is_counted = |app: AppId| match self.routes.app(app.uuid) {
            Some(owner) => owner.id == app,
            None => namespaces[&app.uuid].is_some(),
        };
        let own = tallies.into_iter().filter(|(webhook, _)| is_counted(webhook.app));
        Ok(own.map(|(webhook, tally)| (id_of(&webhook), counted(tally))).collect())
    }

    /// For webhooks without a queue, only the time of the last success is known.
    fn add_sync(&self, counted: &mut HashMap<Id, Counted>) {
        let Some(meters) = self.routes.meters() else { return };
        let find = |id| self.routes.get(id).map(|route| (id, route.binding.delivery.mode));
        for ((id, mode), counts) in meters.webhooks.known(find) {
            if mode == DeliveryMode::Sync {
                counted.entry(id).or_default().took(counts.last_success());
            }
        }
    }

    async fn last_death_reason(&self, webhook: &Key) -> Result<Option<Box<str>>, StoreError> {
        let filter = Filter {
            namespace: Some(webhook.namespace.to_string()),
            webhook: Some(webhook.name.to_string()),
            state: Some(DeliveryState::Dead),
            ..Filter::default()
        };
        let latest = self.history.list(filter, None, 1).await?;
        let Some(summary) = latest.into_iter().next() else { return Ok(None) };
        Ok(self.history.show(summary.id).await?.map(|detail| death_reason(&detail).into()))
    }
}

impl fmt::Debug for LocalTallies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalTallies").field("history", &self.history).finish_non_exhaustive()
    }
}

impl Tallies for LocalTallies {
    fn scope(&self) -> HistoryScope {
        self.history.scope()
    }

    fn count(&self) -> BoxFuture<'_, Result<HashMap<Id, Counted>, String>> {
        async {
            let mut counted = self.queue_counts().await.map_err(|error| error.to_string())?;
            self.add_sync(&mut counted);
            Ok(counted)
        }
        .boxed()
    }

    fn last_death<'a>(&'a self, webhook: &'a Key) -> BoxFuture<'a, Option<Box<str>>> {
        async move {
            self.last_death_reason(webhook).await.unwrap_or_else(|error| {
                tracing::debug!(%webhook, %error, "cannot read why a delivery died");
                None
            })
        }
        .boxed()
    }
}

fn id_of(webhook: &StoredWebhook) -> Id {
    Id { app: webhook.app.uuid, webhook: webhook.uuid }
}

fn counted(tally: Tally) -> Counted {
    let Tally { succeeded, dead, pending, last } = tally;
    let [succeeded, dead, pending] =
        [succeeded, dead, pending].map(|count| i64::try_from(count).unwrap_or(i64::MAX));
    Counted::new(Some(DeliveryCounts { succeeded, dead, pending }), last)
}

/// Why a delivery died, as a clause that follows "because".
fn death_reason(detail: &Detail) -> String {
    let last = detail.attempts.last().and_then(|attempt| attempt.error.as_deref());
    let last = last.unwrap_or("it was never attempted");
    match detail.summary.reason {
        Some(DeadReason::AppDeleted) => "its app was deleted".into(),
        Some(DeadReason::Unreadable) => "its record in the store cannot be read".into(),
        Some(DeadReason::TooOld) => format!("it became too old: {last}"),
        Some(DeadReason::AttemptsUsedUp) => {
            format!("{last}, in the last of {} attempts", detail.summary.attempts)
        }
        Some(DeadReason::Rejected | DeadReason::TransformFailed) | None => last.into(),
    }
}
