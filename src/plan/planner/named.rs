//! What follows from what apps and webhooks name: Services and Secrets, which come and go by themselves.

use super::{AppState, Planner, Step, WebhookState, service_key};
use crate::plan::decide::{self, Found};
use crate::plan::input::Key;
use crate::plan::services::Known;
use crate::plan::verify;
use crate::resources::conditions::Verdict;
use crate::routes::Proof;

impl Planner {
    /// An app names another Service than before, or none.
    pub(super) fn rename_service(
        &mut self,
        app: &Key,
        before: Option<Key>,
        after: Option<Key>,
        step: &mut Step,
    ) {
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.services.unname(&before, app);
        }
        if let Some(after) = after.filter(|after| self.services.name(after, app)) {
            step.look_ups.push(after);
        }
    }

    /// Where an app's listener is.
    pub(super) fn find_listener(&self, state: &AppState) -> Result<Found, Verdict> {
        let spec = state.input.spec.as_ref().map_err(|why| decide::invalid(why))?;
        let service = service_key(&state.input);
        let known = service.as_ref().map_or(Known::Missing, |key| self.services.known(key));
        let slices = service.iter().flat_map(|key| self.services.slices(key));
        let (key, policy) = (&state.input.meta.key, &self.settings.listeners);
        decide::target(key, spec, known, slices, &state.endpoints, policy)
    }

    /// Decides anew about the apps that name a Service.
    pub(super) fn redecide_users(
        &mut self,
        services: impl IntoIterator<Item = Key>,
        step: &mut Step,
    ) {
        for service in services {
            for app in self.services.apps(&service) {
                self.redecide_app(&app, step);
            }
        }
    }

    /// What the triggers of a webhook have to prove.
    pub(super) fn proof_of(&self, state: &WebhookState) -> Result<Option<Proof>, Box<Verdict>> {
        let Some(entries) = state.verify() else { return Ok(None) };
        let namespace = &state.input.meta.key.namespace;
        let made = verify::verifiers(namespace, entries, &self.secrets, &self.settings.key_sets);
        made.map(|verifiers| Some(Proof(verifiers))).map_err(Box::new)
    }

    /// Decides anew about the webhooks that name a Secret.
    pub(super) fn redecide_signed(&mut self, secret: Option<Key>, step: &mut Step) {
        let webhooks = secret.map(|secret| self.secrets.webhooks(&secret)).unwrap_or_default();
        for key in webhooks {
            let Some(proof) = self.webhooks.get(&key).map(|state| self.proof_of(state)) else {
                continue;
            };
            if let Some(state) = self.webhooks.get_mut(&key) {
                state.proof = proof;
            }
            self.redecide_webhook(&key, step);
        }
    }
}
