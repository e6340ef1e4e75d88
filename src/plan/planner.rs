//! The planner: keeps the resources, and returns the changes of routes and statuses after each
//! change.
//!
//! It updates only what a change can affect: the app, the apps that claim the same UUID, and the
//! webhooks of an app whose verdict changed.

mod claims;
mod counts;
pub mod overview;
mod queries;
mod references;

pub use queries::WebhookView;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use uuid::Uuid;

use super::counted::Count;
use super::decide::{self, AppStanding, Found, ListenerPolicy};
use super::identity::IdentityKey;
use super::input::{AppInput, Change, Endpoint, Key, Kind, Meta, ObjectRef, WebhookInput};
use super::reachability::{Reachability, Reached};
use super::secrets::Secrets;
use super::services::Services;
use super::status::Observed;
use super::verify;
use crate::resources::Envelope;
use crate::resources::conditions::Verdict;
use crate::resources::reason::StalledReason;
use crate::resources::verify::VerifyEntry;
use crate::routes::{self, App, AppId, AppLimits, Endpoints, Origin, Proof, Route, RouteState};
use crate::verify::jwt::KeySets;
use claims::{Claims, Rank};

/// Settings that decisions depend on.
#[derive(Debug)]
pub struct Settings {
    /// Base URL of trigger URLs, without a trailing slash.
    pub external_url: String,
    /// Listener settings.
    pub listeners: ListenerPolicy,
    /// Key that UUIDs are derived from.
    pub identity: IdentityKey,
    /// Key sets of JWT issuers.
    pub key_sets: Arc<KeySets>,
}

/// The effects of one change.
#[derive(Debug, Default)]
pub struct Step {
    /// Apps that were added or changed, and UUIDs that no app has any more. Applied before the
    /// route changes.
    pub apps: Vec<(Uuid, Option<Arc<App>>)>,
    /// Changes of the route table.
    pub routes: Vec<routes::Change>,
    /// Objects whose status may differ from the observed one.
    pub statuses: Vec<ObjectRef>,
    /// Apps whose number of webhooks changed, and nothing else: not urgent.
    pub counts: Vec<Key>,
    /// Ready endpoints of apps. Applied before the route changes.
    pub endpoints: Vec<(Arc<Endpoints>, Vec<Origin>)>,
    /// Services that apps started to reference: the source must load each one and send
    /// [`Change::ServiceSettled`].
    pub look_ups: Vec<Key>,
    /// Secrets that webhooks started or stopped referencing.
    pub secrets: Vec<Key>,
}

/// See the module documentation.
#[derive(Debug)]
pub struct Planner {
    settings: Settings,
    apps: HashMap<Key, AppState>,
    /// Boxed, because the free slots of a map take as much space as the used ones.
    webhooks: HashMap<Key, Box<WebhookState>>,
    services: Services,
    secrets: Secrets,
    /// The apps that claim each UUID, and the owners of UUIDs.
    claims: Claims,
    /// The webhooks of each app, whether or not the app exists.
    members: HashMap<Key, BTreeSet<Member>>,
    /// The UUIDs of deleted apps that still have webhooks, for the counts of these.
    deleted_apps: HashMap<Key, Uuid>,
}

/// A webhook of an app, ordered by UUID, then by the strength of its claim.
type Member = (Uuid, Rank, Arc<str>);

/// An app key and a member of that app.
type Place = (Key, Member);

#[derive(Debug)]
struct AppState {
    input: AppInput,
    uuid: Uuid,
    rank: Rank,
    verdict: Verdict,
    /// `None` while the UUID belongs to another app.
    app: Option<Arc<App>>,
    load: Arc<AppLimits>,
    endpoints: Arc<Endpoints>,
    reached: Reached,
}

impl AppState {
    fn undecided(input: AppInput, uuid: Uuid, rank: Rank) -> Self {
        Self {
            input,
            uuid,
            rank,
            verdict: decide::invalid("no decision yet"),
            app: None,
            load: Arc::default(),
            endpoints: Arc::default(),
            reached: Reached::default(),
        }
    }
}

#[derive(Debug)]
struct WebhookState {
    input: WebhookInput,
    uuid: Uuid,
    rank: Rank,
    route: Option<Arc<Route>>,
    /// The compiled `spec.verify`, or why it cannot be compiled.
    proof: Result<Option<Proof>, Box<Verdict>>,
    /// Delivery counts that are not in the status yet. Boxed, because most webhooks have none.
    count: Option<Box<Count>>,
}

impl WebhookState {
    fn app_key(&self) -> Option<Key> {
        let spec = self.input.spec.as_ref().ok()?;
        Some(Key { namespace: self.input.meta.key.namespace.clone(), name: spec.app.clone() })
    }

    fn verify(&self) -> Option<&Arc<[VerifyEntry]>> {
        self.input.spec.as_ref().ok()?.verify.as_ref()
    }

    /// The Secrets that the webhook references.
    fn secrets(&self) -> BTreeSet<Key> {
        let entries = self.verify().map_or(&[][..], |entries| entries);
        verify::secrets_of(&self.input.meta.key.namespace, entries)
    }

    /// The webhook's entry among the members of its app.
    fn place(&self) -> Option<Place> {
        let meta = &self.input.meta;
        Some((self.app_key()?, (self.uuid, self.rank, meta.key.name.clone())))
    }
}

impl Planner {
    /// A planner without resources.
    pub fn new(settings: Settings) -> Self {
        Self {
            services: Services::new(settings.listeners.reach),
            secrets: Secrets::new(settings.listeners.reach),
            settings,
            apps: HashMap::new(),
            webhooks: HashMap::new(),
            claims: Claims::default(),
            members: HashMap::new(),
            deleted_apps: HashMap::new(),
        }
    }

    /// Applies one change and returns its effects.
    pub fn apply(&mut self, change: Change) -> Step {
        let mut step = Step::default();
        match change {
            Change::App(input) => self.put_app(input, &mut step),
            Change::AppGone(key) => self.remove_app(&key, &mut step),
            Change::Webhook(input) => self.put_webhook(input, &mut step),
            Change::WebhookGone(key) => self.remove_webhook(&key, &mut step),
            Change::Service(input) => {
                let key = input.key.clone();
                let has_changed = self.services.put(input);
                self.update_apps_of(has_changed.then_some(key), &mut step);
            }
            Change::ServiceGone(key) => {
                let has_changed = self.services.remove(&key);
                self.update_apps_of(has_changed.then_some(key), &mut step);
            }
            Change::Slice(input) => {
                let news = self.services.put_slice(input);
                self.update_apps_of(news, &mut step);
            }
            Change::SliceGone(key) => {
                let news = self.services.remove_slice(&key);
                self.update_apps_of(news, &mut step);
            }
            Change::Secret(input) => {
                let key = input.key.clone();
                let has_changed = self.secrets.put(input);
                self.update_webhooks_of(has_changed.then_some(key), &mut step);
            }
            Change::SecretGone(key) => {
                let has_changed = self.secrets.remove(&key);
                self.update_webhooks_of(has_changed.then_some(key), &mut step);
            }
            Change::ServiceSettled(key) => {
                let has_changed = self.services.settle(&key);
                self.update_apps_of(has_changed.then_some(key), &mut step);
            }
        }
        // A route that replaces another one of the same id is two changes: the removal comes first.
        step.routes.sort_by_key(|change| matches!(change, routes::Change::Apply(..)));
        step.apps.sort_by_key(|(_, app)| app.is_some());
        step
    }

    /// Changes that delete all objects of `kind` that are not in `kept`: used after a list.
    pub fn gone(&self, kind: Kind, kept: &HashSet<Key>) -> Vec<Change> {
        fn missing<'a, V>(
            map: &'a HashMap<Key, V>,
            kept: &HashSet<Key>,
        ) -> impl Iterator<Item = Key> + 'a {
            let missing: Vec<_> = map.keys().filter(|key| !kept.contains(key)).cloned().collect();
            missing.into_iter()
        }
        match kind {
            Kind::WebhookApp => missing(&self.apps, kept).map(Change::AppGone).collect(),
            Kind::Webhook => missing(&self.webhooks, kept).map(Change::WebhookGone).collect(),
        }
    }

    /// Starts recording the owners of UUIDs. Called when all apps are known, so that the order of
    /// the list has no influence.
    pub fn record_owners(&mut self) {
        self.claims.record_all();
    }

    /// Restores the owners of UUIDs from before the restart. Must be called before the first
    /// change.
    pub fn restore_owners(&mut self, owners: impl IntoIterator<Item = (Uuid, Arc<str>)>) {
        self.claims.restore(owners);
    }

    /// Owners that were recorded or changed since the last call.
    pub fn take_changed_owners(&mut self) -> Vec<(Uuid, Arc<str>)> {
        self.claims.take_changed()
    }

    /// Owners of all UUIDs in use.
    pub fn present_owners(&self) -> Vec<(Uuid, Arc<str>)> {
        self.claims.present().collect()
    }

    /// The Services that apps reference.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// The Secrets that webhooks reference.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// All objects with a status: a new lease holder checks each of them.
    pub fn objects(&self) -> impl Iterator<Item = ObjectRef> + '_ {
        let apps =
            self.apps.keys().map(|key| ObjectRef { kind: Kind::WebhookApp, key: key.clone() });
        let webhooks =
            self.webhooks.keys().map(|key| ObjectRef { kind: Kind::Webhook, key: key.clone() });
        apps.chain(webhooks)
    }

    /// All routes, as a new route table would hold them.
    pub fn routes(&self) -> impl Iterator<Item = (routes::Id, Arc<Route>)> + '_ {
        self.webhooks
            .values()
            .filter_map(|state| state.route.clone().map(|route| (route.id(), route)))
    }

    /// Records the status that was written to an object, for sources without a watch.
    pub fn observe(&mut self, object: &ObjectRef, observed: Observed) {
        self.was_told(object, &observed);
        if let Some(meta) = self.meta_mut(object) {
            meta.observed = observed;
        }
    }

    fn meta_mut(&mut self, object: &ObjectRef) -> Option<&mut Meta> {
        match object.kind {
            Kind::WebhookApp => self.apps.get_mut(&object.key).map(|state| &mut state.input.meta),
            Kind::Webhook => self.webhooks.get_mut(&object.key).map(|state| &mut state.input.meta),
        }
    }

    /// Records the reachability of an app's listener; returns the object whose status may differ
    /// now.
    pub fn listener_reachability(
        &mut self,
        app: Uuid,
        found: Reachability,
        now: Timestamp,
    ) -> Option<ObjectRef> {
        let key = self.keeper(app)?.clone();
        let has_changed = self.apps.get_mut(&key)?.reached.learn(found, now);
        has_changed.then_some(ObjectRef { kind: Kind::WebhookApp, key })
    }

    // ---- apps ----

    fn put_app(&mut self, input: AppInput, step: &mut Step) {
        let key = input.meta.key.clone();
        let uuid = self.uuid_of_app(&input);
        self.deleted_apps.remove(&key);
        let before = self.apps.remove(&key);
        if let Some(before) = &before {
            self.unlink_app(before);
        }
        let rank = self.rank(Kind::WebhookApp, uuid, &input.meta);
        self.claims.insert(uuid, rank, key.clone());
        let named = before.as_ref().and_then(|before| service_key(&before.input));
        self.set_reference(&key, named, service_key(&input), step);
        let old_uuid = before.as_ref().map(|before| before.uuid);
        let state = match before {
            // Keeps the old verdict until the new decision, so that a difference is detected.
            Some(before) => AppState { input, uuid, rank, ..before },
            None => AppState::undecided(input, uuid, rank),
        };
        self.apps.insert(key.clone(), state);
        step.statuses.push(ObjectRef { kind: Kind::WebhookApp, key });
        self.update_claimants(uuid, step);
        if let Some(old_uuid) = old_uuid.filter(|old| *old != uuid) {
            self.update_claimants(old_uuid, step);
        }
    }

    fn remove_app(&mut self, key: &Key, step: &mut Step) {
        let Some(state) = self.apps.remove(key) else { return };
        step.apps.extend(state.app.as_ref().map(|app| (app.uuid, None)));
        if let Some(app) = state.app.as_ref().filter(|_| self.members.contains_key(key)) {
            self.deleted_apps.insert(key.clone(), app.uuid);
        }
        self.unlink_app(&state);
        self.set_reference(key, service_key(&state.input), None, step);
        self.update_webhooks(key, step);
        self.update_claimants(state.uuid, step);
    }

    /// Removes an app from the indexes.
    fn unlink_app(&mut self, state: &AppState) {
        self.claims.remove(state.uuid, state.rank, &state.input.meta.key);
    }

    fn uuid_of_app(&self, input: &AppInput) -> Uuid {
        let chosen = input.spec.as_ref().ok().and_then(|spec| spec.uuid);
        chosen
            .or(input.meta.observed.uuid)
            .unwrap_or_else(|| self.settings.identity.uuid(Kind::WebhookApp, &input.meta.key))
    }

    /// The strength of an object's claim to its UUID.
    fn rank(&self, kind: Kind, uuid: Uuid, meta: &Meta) -> Rank {
        let is_adopted = uuid != self.settings.identity.uuid(kind, &meta.key);
        Rank { is_adopted, created: meta.created }
    }

    fn keeper(&self, uuid: Uuid) -> Option<&Key> {
        self.claims.keeper(uuid)
    }

    fn update_claimants(&mut self, uuid: Uuid, step: &mut Step) {
        self.claims.record(uuid);
        for key in self.claims.of(uuid).cloned().collect::<Vec<_>>() {
            self.update_app(&key, step);
        }
    }

    fn update_app(&mut self, key: &Key, step: &mut Step) {
        let Some(state) = self.apps.get(key) else { return };
        let (verdict, app, ready) = self.decide_app(state);
        step.endpoints.push((state.endpoints.clone(), ready));
        if state.verdict == verdict && state.app == app {
            return;
        }
        if let Some(state) = self.apps.get_mut(key) {
            state.verdict = verdict;
            if state.app != app {
                step.apps.extend(state.app.take().map(|app| (app.uuid, None)));
                step.apps.extend(app.clone().map(|app| (app.uuid, Some(app))));
                state.app = app;
            }
        }
        step.statuses.push(ObjectRef { kind: Kind::WebhookApp, key: key.clone() });
        self.update_webhooks(key, step);
    }

    /// The verdict, the app's part of its routes, and the endpoints of its Service.
    fn decide_app(&self, state: &AppState) -> (Verdict, Option<Arc<App>>, Vec<Origin>) {
        let key = &state.input.meta.key;
        let keeper = self.keeper(state.uuid);
        if keeper != Some(key) {
            return (decide::app_uuid_conflict(key, keeper), None, Vec::new());
        }
        let (target, ready, verdict) = match self.find_listener(state) {
            Ok(Found { target, ready }) => {
                let message = "Accepting triggers of its webhooks".into();
                (Some(target), ready, Verdict::Ready { message })
            }
            Err(verdict) => (None, Vec::new(), verdict),
        };
        let spec = state.input.spec.as_ref().ok();
        let app = App {
            id: AppId::new(&key.namespace, state.uuid),
            uuid: state.uuid,
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            instance: (*state.input.instance).into(),
            target,
            envelope: spec.map_or(Envelope::default(), |spec| spec.envelope),
            timeout: spec.map_or(Duration::ZERO, |spec| spec.timeout),
            concurrency: spec.map_or(1, |spec| spec.concurrency),
            retry: spec.map_or_else(Arc::default, |spec| spec.retry.clone()),
            load: state.load.clone(),
        };
        (verdict, Some(Arc::new(app)), ready)
    }

    // ---- webhooks ----

    fn put_webhook(&mut self, mut input: WebhookInput, step: &mut Step) {
        self.share_names(&mut input);
        let key = input.meta.key.clone();
        let uuid = self.uuid_of_webhook(&input);
        let before = self.webhooks.remove(&key);
        if let (Ok(spec), Some(Ok(before))) =
            (&mut input.spec, before.as_ref().map(|before| &before.input.spec))
        {
            spec.count_on(before);
        }
        let route = before.as_ref().and_then(|before| before.route.clone());
        let named = before.as_ref().map(|before| before.secrets()).unwrap_or_default();
        let count = before.as_ref().and_then(|before| before.count.clone());
        let rank = self.rank(Kind::Webhook, uuid, &input.meta);
        let mut state = WebhookState { input, uuid, rank, route, proof: Ok(None), count };
        step.secrets.extend(self.secrets.set_references(&key, &named, &state.secrets()));
        state.proof = match before.as_deref() {
            // Compiled only when the spec changed: compiling is expensive and yields a different
            // route. A failed one is compiled again: the namespace may use fewer key sets now.
            Some(before) if before.proof.is_ok() && before.verify() == state.verify() => {
                before.proof.clone()
            }
            _ => self.proof_of(&state),
        };
        let (old, new) = (before.as_ref().and_then(|before| before.place()), state.place());
        if old != new {
            old.iter().for_each(|place| self.unlink_webhook(place, step));
            new.iter().for_each(|place| self.link_webhook(place, step));
        }
        self.webhooks.insert(key.clone(), Box::new(state));
        self.update_webhook(&key, step);
        if old != new {
            old.iter().for_each(|(app, _)| self.forget_deleted_app(app));
            let places = old.iter().chain(&new);
            places.for_each(|(app, member)| self.update_namesakes(app, member.0, step));
        }
    }

    /// Shares one copy of equal strings among many webhooks.
    fn share_names(&self, input: &mut WebhookInput) {
        let Ok(spec) = &mut input.spec else { return };
        let app = Key { namespace: input.meta.key.namespace.clone(), name: spec.app.clone() };
        if let Some((known, _)) = self.members.get_key_value(&app) {
            input.meta.key.namespace = known.namespace.clone();
            spec.app = known.name.clone();
        }
    }

    fn remove_webhook(&mut self, key: &Key, step: &mut Step) {
        let Some(state) = self.webhooks.remove(key) else { return };
        if let Some(route) = &state.route {
            step.routes.push(routes::Change::Delete(route.id()));
        }
        step.secrets.extend(self.secrets.set_references(key, &state.secrets(), &BTreeSet::new()));
        if let Some(place) = state.place() {
            self.unlink_webhook(&place, step);
            self.update_namesakes(&place.0, state.uuid, step);
            self.forget_deleted_app(&place.0);
        }
    }

    /// Forgets a deleted app that has no webhook any more.
    fn forget_deleted_app(&mut self, app: &Key) {
        if !self.members.contains_key(app) {
            self.deleted_apps.remove(app);
        }
    }

    fn link_webhook(&mut self, (app, member): &Place, step: &mut Step) {
        self.members.entry(app.clone()).or_default().insert(member.clone());
        step.counts.push(app.clone());
    }

    fn unlink_webhook(&mut self, (app, member): &Place, step: &mut Step) {
        remove_from(&mut self.members, app, member);
        step.counts.push(app.clone());
    }

    fn uuid_of_webhook(&self, input: &WebhookInput) -> Uuid {
        let chosen = input.spec.as_ref().ok().and_then(|spec| spec.uuid);
        chosen
            .or(input.meta.observed.uuid)
            .unwrap_or_else(|| self.settings.identity.uuid(Kind::Webhook, &input.meta.key))
    }

    fn namesakes(&self, app: &Key, uuid: Uuid) -> impl Iterator<Item = &Arc<str>> {
        let from = (uuid, Rank::FIRST, Arc::from(""));
        let members = self.members.get(app).into_iter();
        members.flat_map(move |members| {
            members
                .range(from.clone()..)
                .take_while(move |member| member.0 == uuid)
                .map(|member| &member.2)
        })
    }

    fn keeper_of_webhook(&self, app: &Key, uuid: Uuid) -> Option<Arc<str>> {
        self.namesakes(app, uuid).next().cloned()
    }

    /// Updates the webhooks of an app with this UUID, after one of them was added or removed.
    fn update_namesakes(&mut self, app: &Key, uuid: Uuid, step: &mut Step) {
        for name in self.namesakes(app, uuid).cloned().collect::<Vec<_>>() {
            self.update_webhook(&Key { namespace: app.namespace.clone(), name }, step);
        }
    }

    fn update_webhooks(&mut self, app: &Key, step: &mut Step) {
        let members = self.members.get(app).into_iter().flatten();
        let names: Vec<_> = members.map(|member| member.2.clone()).collect();
        for name in names {
            self.update_webhook(&Key { namespace: app.namespace.clone(), name }, step);
        }
    }

    fn update_webhook(&mut self, key: &Key, step: &mut Step) {
        let Some(state) = self.webhooks.get(key) else { return };
        let route = self.route_of(state);
        step.statuses.push(ObjectRef { kind: Kind::Webhook, key: key.clone() });
        if route.as_ref() == state.route.as_deref() {
            return;
        }
        let before = state.route.as_deref().map(Route::id);
        let route = route.map(Arc::new);
        let after = route.as_ref().map(|route| route.id());
        if let Some(before) = before.filter(|before| Some(*before) != after) {
            step.routes.push(routes::Change::Delete(before));
        }
        if let Some(route) = &route {
            step.routes.push(routes::Change::Apply(route.id(), route.clone()));
        }
        if let Some(state) = self.webhooks.get_mut(key) {
            state.route = route;
        }
    }

    fn route_of(&self, state: &WebhookState) -> Option<Route> {
        let spec = state.input.spec.as_ref().ok()?;
        let app = self.apps.get(&state.app_key()?)?.app.clone()?;
        let verdict = self.decide_webhook(state);
        if verdict.is_stalled_by(StalledReason::UuidConflict) {
            return None;
        }
        Some(Route {
            webhook: state.uuid,
            app,
            name: state.input.meta.key.name.clone(),
            state: match verdict {
                Verdict::Ready { .. } => RouteState::Serving,
                Verdict::Suspended => RouteState::Suspended,
                Verdict::Reconciling { .. } | Verdict::Stalled { .. } => RouteState::NotReady,
            },
            binding: spec.binding.clone(),
            proof: state.proof.clone().ok().flatten(),
        })
    }

    /// Why the spec of a webhook cannot be served, apart from mistakes in the spec alone.
    fn unfit(&self, state: &WebhookState, app: Option<&AppState>) -> Option<Verdict> {
        if let Err(verdict) = &state.proof {
            return Some(Verdict::clone(verdict));
        }
        let binding = &state.input.spec.as_ref().ok()?.binding;
        let app = app?.input.spec.as_ref().ok()?;
        let name = &state.input.spec.as_ref().ok()?.app;
        let is_unfit = binding.transform.is_some() && app.envelope == Envelope::Raw;
        is_unfit.then(|| decide::transform_of_raw(name))
    }

    fn decide_webhook(&self, state: &WebhookState) -> Verdict {
        let app_key = state.app_key();
        let app = app_key.as_ref().and_then(|key| self.apps.get(key));
        let keeper = app_key.and_then(|app| self.keeper_of_webhook(&app, state.uuid));
        let keeper = keeper.filter(|keeper| *keeper != state.input.meta.key.name);
        let standing = app.map_or(AppStanding::Missing, |app| AppStanding::Present(&app.verdict));
        decide::webhook(
            &state.input.meta.key.namespace,
            &state.input.spec,
            self.unfit(state, app),
            standing,
            keeper.as_deref(),
            || self.advice_on(state),
        )
    }
}

fn service_key(input: &AppInput) -> Option<Key> {
    match &input.spec.as_ref().ok()?.endpoint {
        Endpoint::Service { name, .. } => {
            Some(Key { namespace: input.meta.key.namespace.clone(), name: name.clone() })
        }
        Endpoint::Url(_) => None,
    }
}

fn remove_from<V: Ord>(index: &mut HashMap<Key, BTreeSet<V>>, key: &Key, value: &V) {
    if let Some(values) = index.get_mut(key) {
        values.remove(value);
        if values.is_empty() {
            index.remove(key);
        }
    }
}
