//! Creates and deletes webhooks in the cluster, and waits until the runner has applied the change.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client, Resource, ResourceExt};
use tokio::time::timeout;

use super::call::{CallError, call};
use crate::plan::Key;
use crate::resources::{FIELD_MANAGER, Webhook, WebhookApp};
use crate::source::{PlanRunner, StoreError, WebhookStore};

/// How long to wait until the watch reports a change.
const WATCH_DEADLINE: Duration = Duration::from_secs(5);

/// The webhooks of a cluster.
pub struct ClusterWebhooks {
    client: Client,
    runner: Arc<PlanRunner>,
}

impl ClusterWebhooks {
    pub(super) fn new(client: Client, runner: Arc<PlanRunner>) -> Self {
        Self { client, runner }
    }

    fn api(&self, namespace: &str) -> Api<Webhook> {
        Api::namespaced(self.client.clone(), namespace)
    }

    async fn create_webhook(&self, mut webhook: Webhook) -> Result<(), StoreError> {
        let namespace = webhook.namespace().unwrap_or_default();
        let app = Key::new(&*namespace, &*webhook.spec.app);
        webhook.owner_references_mut().push(self.owner(&app)?);
        let params =
            PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
        let created = call(self.api(&namespace).create(&params, &webhook)).await;
        self.wait_until(&Key::of(&created.map_err(store_error)?), true).await;
        Ok(())
    }

    async fn delete_webhook(&self, key: &Key) -> Result<(), StoreError> {
        let params = DeleteParams::background();
        let deleted = call(self.api(&key.namespace).delete(&key.name, &params)).await;
        deleted.map_err(|error| match error.code() {
            Some(404) => StoreError::NotFound,
            _ => store_error(error),
        })?;
        self.wait_until(key, false).await;
        Ok(())
    }

    /// The app as owner: the garbage collector deletes its webhooks after it, and they do not block
    /// its deletion.
    fn owner(&self, app: &Key) -> Result<OwnerReference, StoreError> {
        let planner = self.runner.planner();
        let uid = planner.app(app).and_then(|app| app.uid.as_deref());
        let uid = uid.ok_or_else(|| StoreError::Invalid("the app does not exist".into()))?;
        Ok(OwnerReference {
            api_version: WebhookApp::api_version(&()).into(),
            kind: WebhookApp::kind(&()).into(),
            name: app.name.to_string(),
            uid: uid.into(),
            controller: Some(false),
            block_owner_deletion: None,
        })
    }

    /// Waits until the runner knows a webhook, or no longer knows it.
    async fn wait_until(&self, key: &Key, known: bool) {
        let mut version = self.runner.version();
        let seen = async {
            while self.runner.planner().webhook(key).is_some() != known {
                if version.changed().await.is_err() {
                    return;
                }
            }
        };
        if timeout(WATCH_DEADLINE, seen).await.is_err() {
            // The cluster has the change: an error would make the app repeat it.
            tracing::warn!(webhook = %key, known, "the watch did not report a change in time");
        }
    }
}

impl WebhookStore for ClusterWebhooks {
    fn create(&self, webhook: Webhook) -> BoxFuture<'_, Result<(), StoreError>> {
        self.create_webhook(webhook).boxed()
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<(), StoreError>> {
        self.delete_webhook(key).boxed()
    }
}

fn store_error(error: CallError) -> StoreError {
    match error.code() {
        Some(400 | 422) => StoreError::Invalid(error.to_string()),
        _ => StoreError::Unavailable(error.to_string()),
    }
}
