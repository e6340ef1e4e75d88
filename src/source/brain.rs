//! The planner at work: what a source reports is in the route table when the call returns.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::jiff::Timestamp;
use tokio::sync::watch;
use uuid::Uuid;

use super::{Due, Pending, Signals};
use crate::plan::{Change, Count, Key, Planner, Reachability, Settings, Step, Version};
use crate::routes::Table;

/// One planner, the table that it feeds, and the statuses that wait to be written.
///
/// Every source calls the same methods; they do not wait for anything but each other.
#[derive(Debug)]
pub struct Brain {
    planner: Mutex<Planner>,
    routes: Arc<Table>,
    pending: Arc<Pending>,
    look_ups: Arc<Due>,
    secrets: Arc<Due>,
    version: watch::Sender<u64>,
    signals: Signals,
}

impl Brain {
    /// A brain without resources.
    pub fn new(settings: Settings, routes: Arc<Table>) -> Self {
        Self {
            planner: Mutex::new(Planner::new(settings)),
            routes,
            pending: Arc::default(),
            look_ups: Arc::default(),
            secrets: Arc::default(),
            version: watch::channel(0).0,
            signals: Signals::default(),
        }
    }

    /// Takes changes in. When this returns, triggers are routed by them.
    pub fn apply(&self, changes: impl IntoIterator<Item = Change>) {
        let mut planner = self.planner();
        self.take(&mut planner, changes);
    }

    /// The planner, to ask it. Hold it briefly: sources wait for it, triggers do not.
    pub fn planner(&self) -> MutexGuard<'_, Planner> {
        // A panic elsewhere must not end the service: the planner's methods leave it consistent.
        self.planner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the attempts of this process's queue tell of an app's listener. It is no change of the
    /// resources: nothing but the app's status follows from it.
    pub fn listener_reachability(&self, app: Uuid, found: Reachability) {
        let now = Timestamp::now();
        let changed = self.planner().listener_reachability(app, found, now);
        self.pending.add(changed, []);
    }

    /// What was counted of a webhook's events: nothing but its status follows from it.
    pub fn count(&self, webhook: &Key, count: Count) {
        let counted = self.planner().count(webhook, count);
        self.pending.add(counted, []);
    }

    /// The statuses that wait to be written.
    pub fn pending(&self) -> &Arc<Pending> {
        &self.pending
    }

    /// The Services that are to be looked up.
    pub fn look_ups(&self) -> &Arc<Due> {
        &self.look_ups
    }

    /// The Secrets that webhooks began or ceased to name.
    pub fn secrets(&self) -> &Arc<Due> {
        &self.secrets
    }

    /// Takes changes in if, since `version`, nothing else was told of a Service; says whether.
    pub fn apply_if(&self, service: &Key, version: Version, changes: Vec<Change>) -> bool {
        let mut planner = self.planner();
        let is_current = planner.services().version(service) == Some(version);
        if is_current {
            self.take(&mut planner, changes);
        }
        is_current
    }

    /// The route table.
    pub fn routes(&self) -> &Arc<Table> {
        &self.routes
    }

    /// How the exchange with the source goes.
    pub fn signals(&self) -> &Signals {
        &self.signals
    }

    /// Changes its value whenever resources changed.
    pub fn version(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    fn take(&self, planner: &mut Planner, changes: impl IntoIterator<Item = Change>) {
        let mut all = Step::default();
        for change in changes {
            let Step { apps, routes, statuses, counts, endpoints, look_ups, secrets } =
                planner.apply(change);
            all.apps.extend(apps);
            all.routes.extend(routes);
            all.statuses.extend(statuses);
            all.counts.extend(counts);
            all.look_ups.extend(look_ups);
            all.secrets.extend(secrets);
            endpoints.into_iter().for_each(|(cell, ready)| cell.set(ready));
        }
        self.routes.apply_apps(all.apps);
        self.routes.apply(all.routes);
        self.pending.add(all.statuses, all.counts);
        self.look_ups.add(all.look_ups);
        self.secrets.add(all.secrets);
        self.version.send_modify(|version| *version += 1);
    }
}
