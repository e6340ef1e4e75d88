//! The tasks of a running source, and how they end.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Client;
use tokio::select;
use tokio::sync::watch::{self, Receiver, Sender};
use tokio::task::{JoinError, JoinSet};

use super::kinds::WatchedKind;
use super::lease::LeaderLease;
use super::raw::Raw;
use super::secrets::SecretWatches;
use super::statuses::Statuses;
use super::watch::{WatchScope, watch};
use super::{Kubernetes, NAME, leader, services};
use crate::plan::Change;
use crate::resources::{Webhook, WebhookApp};
use crate::source::{Counting, PlanRunner};

/// A running source. Dropping it ends its tasks at once, without releasing the lease.
pub struct Running {
    synced: Receiver<bool>,
    leading: Receiver<bool>,
    /// Each holds one task, which is aborted when this is dropped.
    watch_tasks: JoinSet<()>,
    lease_tasks: JoinSet<()>,
}

impl Running {
    /// Turns true after the first complete list of all kinds: this replica can serve from then on.
    pub fn synced(&self) -> Receiver<bool> {
        self.synced.clone()
    }

    /// Whether this replica holds the lease and writes statuses.
    pub fn leading(&self) -> Receiver<bool> {
        self.leading.clone()
    }

    /// Waits until the lease is released after `stop` turned true: a few seconds at most. The
    /// watches continue until this is dropped.
    ///
    /// # Errors
    /// If a task panicked: a partial source must not keep running.
    pub async fn join(&mut self) -> Result<(), JoinError> {
        select! {
            Some(result) = self.watch_tasks.join_next() => result,
            Some(result) = self.lease_tasks.join_next() => result,
            else => Ok(()),
        }
    }
}

/// Starts the watches and the leader election.
pub fn start(
    kubernetes: &Kubernetes,
    runner: &Arc<PlanRunner>,
    counting: Counting,
    stop: Receiver<bool>,
) -> Running {
    let client = &kubernetes.client;
    let (mut watch_tasks, mut lease_tasks) = (JoinSet::new(), JoinSet::new());
    let (synced_sender, synced) = watch::channel(false);
    let watches = Watches {
        client: client.clone(),
        runner: Arc::clone(runner),
        scopes: scopes(&kubernetes.watch_namespaces),
    };
    watch_tasks.spawn(watches.run(synced_sender));
    let (leading_sender, leading) = watch::channel(false);
    let identity = kubernetes.identity.clone();
    let lease = LeaderLease::new(client.clone(), &kubernetes.namespace, NAME, identity);
    let statuses = Statuses::new(client.clone(), Arc::clone(runner), counting, &kubernetes.pod);
    lease_tasks.spawn(leader::lead(lease, statuses, leading_sender, synced.clone(), stop));
    Running { synced, leading, watch_tasks, lease_tasks }
}

/// The parameters of all watches.
struct Watches {
    client: Client,
    runner: Arc<PlanRunner>,
    scopes: Vec<WatchScope>,
}

impl Watches {
    /// Watches for ever. `synced` turns true after the first complete list of all kinds.
    ///
    /// Services are watched after apps are listed, because only referenced Services are kept.
    async fn run(self, synced: Sender<bool>) {
        let (mut resources, mut services) = (WatchGroup::default(), WatchGroup::default());
        self.add::<Raw<WebhookApp>>(&mut resources);
        self.add::<Raw<Webhook>>(&mut resources);
        let listed = resources.listed();
        select! {
            () = resources.run() => return,
            () = listed => {}
        }
        // The lists that follow contain these Services. Those referenced later may have to be
        // fetched.
        let referenced = self.runner.service_lookups().take_all();
        self.add::<Service>(&mut services);
        self.add::<EndpointSlice>(&mut services);
        let mut secrets = SecretWatches::new(self.client.clone(), Arc::clone(&self.runner));
        let (listed, secrets_synced) = (services.listed(), until_zero(&secrets.unsynced));
        let then = async {
            listed.await;
            secrets_synced.await;
            self.runner.apply(referenced.into_iter().map(Change::ServiceSettled));
            tracing::info!("all resources are known");
            synced.send_replace(true);
            services::fetch_queued(&self.client, &self.runner).await;
        };
        select! {
            () = resources.run() => {}
            () = services.run() => {}
            () = secrets.run() => {}
            () = then => {}
        }
    }

    fn add<K: WatchedKind>(&self, group: &mut WatchGroup) {
        for scope in &self.scopes {
            group.unlisted.send_modify(|left| *left += 1);
            let (client, runner) = (self.client.clone(), Arc::clone(&self.runner));
            let watch = watch::<K>(client, scope.clone(), runner, group.unlisted.clone());
            group.watches.spawn(watch);
        }
    }
}

/// A group of watches. Dropping it ends them.
#[derive(Default)]
struct WatchGroup {
    watches: JoinSet<()>,
    /// The number of watches whose first list is incomplete.
    unlisted: Sender<usize>,
}

impl WatchGroup {
    /// Resolves when the first list of each watch is complete.
    fn listed(&self) -> impl Future<Output = ()> + use<> {
        until_zero(&self.unlisted)
    }

    /// Never returns, because no watch ends. Propagates a panic of a watch.
    async fn run(&mut self) {
        while let Some(result) = self.watches.join_next().await {
            propagate_panic(result);
        }
    }
}

/// Resolves when a count is zero.
fn until_zero(count: &Sender<usize>) -> impl Future<Output = ()> + use<> {
    let mut count = count.subscribe();
    async move { drop(count.wait_for(|left| *left == 0).await) }
}

/// Propagates the panic of a task.
pub fn propagate_panic(result: Result<(), JoinError>) {
    if let Err(Ok(panic)) = result.map_err(JoinError::try_into_panic) {
        std::panic::resume_unwind(panic);
    }
}

fn scopes(namespaces: &[String]) -> Vec<WatchScope> {
    if namespaces.is_empty() {
        return vec![WatchScope::All];
    }
    namespaces.iter().cloned().map(WatchScope::Namespace).collect()
}

/// Waits until a flag is true, or its sender is dropped.
pub async fn until_true(flag: &mut Receiver<bool>) {
    drop(flag.wait_for(|on| *on).await);
}
