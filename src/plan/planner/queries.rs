//! Queries of the planner: the statuses to write, and the data of the app API.

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use uuid::Uuid;

use super::Planner;
use crate::plan::{AppInput, Key, Observed, Reachability, WebhookInput};
use crate::resources::reason::StalledReason;
use crate::resources::{WebhookAppStatus, WebhookStatus};
use crate::routes::Id;
use crate::verify::jwt::KeySets;

/// A webhook as the app API shows it.
#[derive(Clone, Debug)]
pub struct WebhookView {
    /// Its UUID.
    pub uuid: Uuid,
    /// Its metadata and spec.
    pub input: WebhookInput,
}

impl Planner {
    /// The status to write to an app; `None` if it is up to date or the app does not exist.
    pub fn app_status(&self, key: &Key, now: Timestamp) -> Option<WebhookAppStatus> {
        let state = self.apps.get(key)?;
        let meta = &state.input.meta;
        let uuid = state.app.as_ref().map(|app| app.uuid);
        let mut conditions =
            state.verdict.conditions(meta.generation, meta.observed.since(&state.verdict, now));
        // No attempt is made for an app whose UUID belongs to another app.
        conditions.extend(state.app.as_ref().and_then(|_| {
            meta.observed.listener(state.reached.condition(meta.generation), meta.generation)
        }));
        let status = WebhookAppStatus {
            uuid: uuid.map(|uuid| uuid.to_string()),
            url: uuid.map(|uuid| self.app_url(uuid)),
            webhooks: Some(self.members.get(key).map_or(0, |members| members.len() as i64)),
            observed_generation: Some(meta.generation),
            conditions,
        };
        (!Observed::of_app(&status).says_the_same(&meta.observed)).then_some(status)
    }

    /// The status to write to a webhook; `None` if it is up to date or the webhook does not exist.
    pub fn webhook_status(&self, key: &Key, now: Timestamp) -> Option<WebhookStatus> {
        let state = self.webhooks.get(key)?;
        let meta = &state.input.meta;
        let verdict = self.decide_webhook(state);
        // The UUID belongs to an older webhook, and so does the URL.
        let uuid = (!verdict.is_stalled_by(StalledReason::UuidConflict)).then_some(state.uuid);
        let counted = state.counted();
        let status = WebhookStatus {
            uuid: uuid.map(|uuid| uuid.to_string()),
            url: uuid.and_then(|_| self.webhook_url(key)),
            last_delivery: counted.last_delivery(),
            deliveries: counted.deliveries,
            observed_generation: Some(meta.generation),
            conditions: verdict.conditions(meta.generation, meta.observed.since(&verdict, now)),
        };
        (!Observed::of_webhook(&status).says_the_same(&meta.observed)).then_some(status)
    }

    /// Id of a webhook's route; `None` if its app does not exist, or the UUID belongs to another
    /// webhook.
    pub fn webhook_id(&self, key: &Key) -> Option<Id> {
        let state = self.webhooks.get(key)?;
        let app_key = state.app_key()?;
        let app = self.apps.get(&app_key)?.app.as_ref()?.uuid;
        let keeper = self.keeper_of_webhook(&app_key, state.uuid)?;
        (keeper == key.name).then_some(Id { app, webhook: state.uuid })
    }

    /// The trigger URL of a webhook; `None` if its app does not exist.
    pub fn webhook_url(&self, key: &Key) -> Option<String> {
        let state = self.webhooks.get(key)?;
        let app = self.apps.get(&state.app_key()?)?.app.as_ref()?;
        Some(format!("{}/{}", self.app_url(app.uuid), state.uuid))
    }

    fn app_url(&self, uuid: Uuid) -> String {
        format!("{}/apps/{uuid}/webhooks", self.settings.external_url)
    }

    /// Base URL of trigger URLs.
    pub fn external_url(&self) -> &str {
        &self.settings.external_url
    }

    /// The key sets of JWT issuers.
    pub fn key_sets(&self) -> &Arc<KeySets> {
        &self.settings.key_sets
    }

    /// An app, if it exists.
    pub fn app(&self, key: &Key) -> Option<&AppInput> {
        self.apps.get(key).map(|state| &state.input)
    }

    /// The apps whose reachability is known, and whether the listener answers.
    pub fn reachable_listeners(&self) -> Vec<(Key, bool)> {
        let known = self.apps.iter().filter_map(|(key, state)| {
            let is_reachable = match state.app.as_ref().and(Some(state.reached.found()))? {
                Reachability::Unknown => return None,
                Reachability::Reachable => true,
                Reachability::Unreachable { .. } => false,
            };
            Some((key.clone(), is_reachable))
        });
        known.collect()
    }

    /// The UUID of an app; `None` while it belongs to another app.
    pub fn app_uuid(&self, key: &Key) -> Option<Uuid> {
        self.apps.get(key)?.app.as_ref().map(|app| app.uuid)
    }

    /// Whether the webhook of this name exists, with this UUID and in the app of this UUID. While its app does not
    /// exist, the app's UUID is unknown, and any is taken for it.
    pub fn is_webhook_of(&self, key: &Key, uuid: Uuid, app: Uuid) -> bool {
        let Some(state) = self.webhooks.get(key).filter(|state| state.uuid == uuid) else {
            return false;
        };
        let current = state.app_key().and_then(|key| self.apps.get(&key));
        current.is_none_or(|current| current.uuid == app)
    }

    /// The apps of a namespace that a ServiceAccount may act for, ordered by name.
    pub fn apps_of_account(&self, namespace: &str, account: &str) -> Vec<Key> {
        let listed = |state: &&super::AppState| {
            let spec = state.input.spec.as_ref();
            &*state.input.meta.key.namespace == namespace
                && spec.is_ok_and(|spec| spec.service_accounts.iter().any(|name| name == account))
        };
        let mut keys: Vec<_> =
            self.apps.values().filter(listed).map(|state| state.input.meta.key.clone()).collect();
        keys.sort();
        keys
    }

    /// The webhooks of an app, oldest first.
    pub fn webhooks_of(&self, app: &Key) -> Vec<WebhookView> {
        let members = self.members.get(app).into_iter().flatten();
        let mut views: Vec<_> = members.filter_map(|member| self.view(app, &member.2)).collect();
        views.sort_by(|a, b| {
            let order =
                |view: &WebhookView| (view.input.meta.created, view.input.meta.key.name.clone());
            order(a).cmp(&order(b))
        });
        views
    }

    /// The webhook of an app with this UUID.
    pub fn webhook_of(&self, app: &Key, uuid: Uuid) -> Option<WebhookView> {
        self.view(app, &self.keeper_of_webhook(app, uuid)?)
    }

    /// A webhook, if it exists.
    pub fn webhook(&self, key: &Key) -> Option<WebhookView> {
        let state = self.webhooks.get(key)?;
        Some(WebhookView { uuid: state.uuid, input: state.input.clone() })
    }

    fn view(&self, app: &Key, name: &Arc<str>) -> Option<WebhookView> {
        self.webhook(&Key { namespace: app.namespace.clone(), name: name.clone() })
    }
}
