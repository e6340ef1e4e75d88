//! Delivery counts of webhooks, and the Events for changes of statuses.

use std::collections::HashMap;

use super::{Planner, WebhookState};
use crate::plan::counted::{Count, Counted, Recount};
use crate::plan::{Event, Key, Kind, ObjectRef, Observed, events};
use crate::resources::{WebhookAppStatus, WebhookStatus};
use crate::routes::Id;

impl WebhookState {
    /// The counts for the webhook's status. Until the first count, those of the observed status: a
    /// replica that has just taken over the lease has no numbers.
    pub(super) fn counted(&self) -> Counted {
        self.count.as_ref().map_or_else(|| self.input.meta.observed.counted(), |it| it.counted)
    }
}

impl Planner {
    /// The webhooks whose counts differ from their statuses. `counted` is complete: a webhook that
    /// is missing in it has no deliveries.
    pub fn recounts(&self, counted: &HashMap<Id, Counted>) -> Vec<Recount> {
        self.webhooks.iter().filter_map(|(key, state)| self.recount(key, state, counted)).collect()
    }

    fn recount(
        &self,
        key: &Key,
        state: &WebhookState,
        counted: &HashMap<Id, Counted>,
    ) -> Option<Recount> {
        let app_key = state.app_key()?;
        // The events of a deleted app are counted until they are delivered or dead.
        let app = match self.apps.get(&app_key) {
            Some(state) => state.app.as_ref()?.uuid,
            None => *self.deleted_apps.get(&app_key)?,
        };
        // If two webhooks claim one UUID, its events belong to the webhook that has it.
        if self.keeper_of_webhook(&app_key, state.uuid)? != key.name {
            return None;
        }
        let (before, id) = (state.counted(), Id { app, webhook: state.uuid });
        let counted = before.then(counted.get(&id).copied());
        let has_more_dead = counted.dead() > before.dead();
        (counted != before).then(|| Recount { key: key.clone(), counted, has_more_dead })
    }

    /// Records new counts of a webhook; returns the object whose status may differ now.
    pub fn count(&mut self, key: &Key, mut count: Count) -> Option<ObjectRef> {
        let state = self.webhooks.get_mut(key)?;
        // Deaths that were not reported yet are reported together with these.
        let since = state.count.as_ref().and_then(|unreported| unreported.died.since);
        count.died.since = since.or(count.died.since);
        state.count = Some(Box::new(count));
        Some(ObjectRef { kind: Kind::Webhook, key: key.clone() })
    }

    /// Drops counts that are in no status yet: another replica may have written newer ones.
    pub fn forget_counts(&mut self) {
        self.webhooks.values_mut().for_each(|state| state.count = None);
    }

    /// The Events for writing this status of an app.
    pub fn app_events(&self, key: &Key, status: &WebhookAppStatus) -> Vec<Event> {
        let state = self.apps.get(key);
        state.map_or_else(Vec::new, |state| events::of_app(&state.input.meta.observed, status))
    }

    /// The Events for writing this status of a webhook.
    pub fn webhook_events(&self, key: &Key, status: &WebhookStatus) -> Vec<Event> {
        let Some(state) = self.webhooks.get(key) else { return Vec::new() };
        let died = state.count.as_ref().map(|count| count.died.clone()).unwrap_or_default();
        events::of_webhook(key, &state.input.meta.observed, status, &died)
    }

    /// Records that a status was written and its Events were sent, so that they are not sent again
    /// before the watch shows the status.
    pub fn was_told(&mut self, object: &ObjectRef, written: &Observed) {
        if object.kind == Kind::Webhook
            && let Some(state) = self.webhooks.get_mut(&object.key)
        {
            state.count.take_if(|count| count.counted == written.counted());
        }
        if let Some(meta) = self.meta_mut(object) {
            meta.observed.was_told(written.clone());
        }
    }
}
