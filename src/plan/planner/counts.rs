//! What is counted of webhooks, on its way into their statuses; and what people are told of both.

use std::collections::HashMap;

use super::{Planner, WebhookState};
use crate::plan::counted::{Count, Counted, Recount};
use crate::plan::{Event, Key, Kind, ObjectRef, Observed, events};
use crate::resources::{WebhookAppStatus, WebhookStatus};
use crate::routes::Id;

impl WebhookState {
    /// What its status is to say. While nothing was counted, that is what it says: a replica that has just
    /// begun to write knows no numbers.
    pub(super) fn counted(&self) -> Counted {
        self.count.as_ref().map_or_else(|| self.input.meta.observed.counted(), |it| it.counted)
    }
}

impl Planner {
    /// The webhooks of which something else was counted than their statuses say. `counted` is complete:
    /// of what is not in it, there is nothing any more.
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
        let app = self.apps.get(&app_key)?.app.as_ref()?.uuid;
        // Of two webhooks of one UUID, events are those of the one that has it.
        if self.keeper_of_webhook(&app_key, state.uuid)? != key.name {
            return None;
        }
        let (before, id) = (state.counted(), Id { app, webhook: state.uuid });
        let counted = before.then(counted.get(&id).copied());
        let has_more_dead = counted.dead() > before.dead();
        (counted != before).then(|| Recount { key: key.clone(), counted, has_more_dead })
    }

    /// Takes in what was counted of a webhook; says whose status may differ now.
    pub fn count(&mut self, key: &Key, mut count: Count) -> Option<ObjectRef> {
        let state = self.webhooks.get_mut(key)?;
        // What was counted before and not yet told is told with this.
        let since = state.count.as_ref().and_then(|untold| untold.died.since);
        count.died.since = since.or(count.died.since);
        state.count = Some(Box::new(count));
        Some(ObjectRef { kind: Kind::Webhook, key: key.clone() })
    }

    /// Forgets what was counted and is in no status: others may have written newer numbers meanwhile.
    pub fn forget_counts(&mut self) {
        self.webhooks.values_mut().for_each(|state| state.count = None);
    }

    /// What people are told when an app gets this status.
    pub fn app_events(&self, key: &Key, status: &WebhookAppStatus) -> Vec<Event> {
        let state = self.apps.get(key);
        state.map_or_else(Vec::new, |state| events::of_app(&state.input.meta.observed, status))
    }

    /// What people are told when a webhook gets this status.
    pub fn webhook_events(&self, key: &Key, status: &WebhookStatus) -> Vec<Event> {
        let Some(state) = self.webhooks.get(key) else { return Vec::new() };
        let died = state.count.as_ref().map(|count| count.died.clone()).unwrap_or_default();
        events::of_webhook(key, &state.input.meta.observed, status, &died)
    }

    /// Remembers that a status was written, and that people were told of it: not so again, even before
    /// a watch has shown it.
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
