//! References of apps to Services and of webhooks to Secrets. Both can be created and deleted at
//! any time.

use super::{AppState, Planner, Step, WebhookState, service_key};
use crate::plan::decide::{self, Found};
use crate::plan::input::Key;
use crate::plan::secret_advice;
use crate::plan::services::Known;
use crate::plan::verify;
use crate::resources::conditions::Verdict;
use crate::routes::Proof;

impl Planner {
    /// Replaces the Service that an app references.
    pub(super) fn set_reference(
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
            self.services.remove_reference(&before, app);
        }
        if let Some(after) = after.filter(|after| self.services.add_reference(after, app)) {
            step.look_ups.push(after);
        }
    }

    /// Resolves an app's listener.
    pub(super) fn find_listener(&self, state: &AppState) -> Result<Found, Verdict> {
        let spec = state.input.spec.as_ref().map_err(|why| decide::invalid(why))?;
        let service = service_key(&state.input);
        let known = service.as_ref().map_or(Known::Missing, |key| self.services.known(key));
        let slices = service.iter().flat_map(|key| self.services.slices(key));
        let (key, policy) = (&state.input.meta.key, &self.settings.listeners);
        decide::target(key, spec, known, slices, &state.endpoints, policy)
    }

    /// Updates the apps that reference these Services.
    pub(super) fn update_apps_of(
        &mut self,
        services: impl IntoIterator<Item = Key>,
        step: &mut Step,
    ) {
        for service in services {
            for app in self.services.apps(&service) {
                self.update_app(&app, step);
            }
        }
    }

    /// Compiles `spec.verify` of a webhook.
    pub(super) fn proof_of(&self, state: &WebhookState) -> Result<Option<Proof>, Box<Verdict>> {
        let Some(entries) = state.verify() else { return Ok(None) };
        let namespace = &state.input.meta.key.namespace;
        let made = verify::verifiers(namespace, entries, &self.secrets, &self.settings.key_sets);
        made.map(|verifiers| Some(Proof(verifiers))).map_err(Box::new)
    }

    /// Advice about the secrets of `spec.verify` of a webhook.
    pub(super) fn advice_on(&self, state: &WebhookState) -> Option<String> {
        secret_advice::of(&state.input.meta.key.namespace, state.verify()?, &self.secrets)
    }

    /// Updates the webhooks that reference a Secret.
    pub(super) fn update_webhooks_of(&mut self, secret: Option<Key>, step: &mut Step) {
        let webhooks = secret.map(|secret| self.secrets.webhooks(&secret)).unwrap_or_default();
        for key in webhooks {
            let Some(proof) = self.webhooks.get(&key).map(|state| self.proof_of(state)) else {
                continue;
            };
            if let Some(state) = self.webhooks.get_mut(&key) {
                state.proof = proof;
            }
            self.update_webhook(&key, step);
        }
    }
}
