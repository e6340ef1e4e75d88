//! Runs the planner: when a call returns, the change of the source is in the route table.

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use uuid::Uuid;

use super::{PendingStatuses, SourceMetrics, WorkQueue};
use crate::plan::{Change, Count, Key, Planner, Reachability, Settings, Step, Version};
use crate::routes::Table;

/// The planner, the route table that it updates, and the statuses to write.
///
/// Both sources use the same methods. A method waits only for other calls.
#[derive(Debug)]
pub struct PlanRunner {
    planner: Mutex<Planner>,
    routes: Arc<Table>,
    pending: Arc<PendingStatuses>,
    service_lookups: Arc<WorkQueue>,
    secret_changes: Arc<WorkQueue>,
    version: watch::Sender<u64>,
    signals: SourceMetrics,
}

impl PlanRunner {
    /// Creates a runner without resources.
    pub fn new(settings: Settings, routes: Arc<Table>) -> Self {
        Self {
            planner: Mutex::new(Planner::new(settings)),
            routes,
            pending: Arc::default(),
            service_lookups: Arc::default(),
            secret_changes: Arc::default(),
            version: watch::channel(0).0,
            signals: SourceMetrics::default(),
        }
    }

    /// Applies changes. When this returns, triggers are routed accordingly.
    pub fn apply(&self, changes: impl IntoIterator<Item = Change>) {
        let mut planner = self.planner();
        self.apply_locked(&mut planner, changes);
    }

    /// The planner, for queries. Hold the lock briefly: sources wait for it, triggers do not.
    pub fn planner(&self) -> MutexGuard<'_, Planner> {
        // Ignoring the poison keeps the service running after a panic elsewhere: each method of the
        // planner leaves it consistent.
        self.planner.lock()
    }

    /// Reports whether an app's listener is reachable, as seen by this process's delivery attempts.
    /// This is not a resource change: it affects only the app's status.
    pub fn listener_reachability(&self, app: Uuid, reachability: Reachability) {
        let now = Timestamp::now();
        let changed = self.planner().listener_reachability(app, reachability, now);
        self.pending.add(changed, []);
    }

    /// Reports the delivery counts of a webhook. They affect only its status.
    pub fn count(&self, webhook: &Key, count: Count) {
        let changed = self.planner().count(webhook, count);
        self.pending.add(changed, []);
    }

    /// The objects whose status may have to be written.
    pub fn pending(&self) -> &Arc<PendingStatuses> {
        &self.pending
    }

    /// The Services to look up.
    pub fn service_lookups(&self) -> &Arc<WorkQueue> {
        &self.service_lookups
    }

    /// The Secrets that webhooks started or stopped referencing.
    pub fn secret_changes(&self) -> &Arc<WorkQueue> {
        &self.secret_changes
    }

    /// Applies changes unless the Service changed after `version`. Returns whether they were
    /// applied.
    pub fn apply_if(&self, service: &Key, version: Version, changes: Vec<Change>) -> bool {
        let mut planner = self.planner();
        let is_current = planner.services().version(service) == Some(version);
        if is_current {
            self.apply_locked(&mut planner, changes);
        }
        is_current
    }

    /// The route table.
    pub fn routes(&self) -> &Arc<Table> {
        &self.routes
    }

    /// Metrics of the exchange with the source.
    pub fn signals(&self) -> &SourceMetrics {
        &self.signals
    }

    /// A counter that changes with every applied change.
    pub fn version(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    fn apply_locked(&self, planner: &mut Planner, changes: impl IntoIterator<Item = Change>) {
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
        self.service_lookups.add(all.look_ups);
        self.secret_changes.add(all.secrets);
        self.version.send_modify(|version| *version += 1);
    }
}
