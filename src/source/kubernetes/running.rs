//! The tasks of a running source, and how they end.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Client;
use tokio::select;
use tokio::sync::watch::{self, Receiver, Sender};
use tokio::task::{JoinError, JoinSet};

use super::kinds::Watched;
use super::lease::Lease;
use super::raw::Raw;
use super::secrets::Secrets;
use super::statuses::Statuses;
use super::watch::{Scope, watch};
use super::{Kubernetes, NAME, leader, services};
use crate::plan::Change;
use crate::resources::{Webhook, WebhookApp};
use crate::source::{Brain, Counting};

/// A running source. Dropping it ends its tasks at once, without releasing the lease.
pub struct Running {
    synced: Receiver<bool>,
    leading: Receiver<bool>,
    /// Each holds one task, which is aborted when this is dropped.
    watching: JoinSet<()>,
    competing: JoinSet<()>,
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
            Some(ended) = self.watching.join_next() => ended,
            Some(ended) = self.competing.join_next() => ended,
            else => Ok(()),
        }
    }
}

/// Starts the watches and the leader election.
pub fn start(
    kubernetes: &Kubernetes,
    brain: &Arc<Brain>,
    counting: Counting,
    stop: Receiver<bool>,
) -> Running {
    let client = &kubernetes.client;
    let (mut watching, mut competing) = (JoinSet::new(), JoinSet::new());
    let (synced_sender, synced) = watch::channel(false);
    let watches = Watching {
        client: client.clone(),
        brain: Arc::clone(brain),
        scopes: scopes(&kubernetes.watch_namespaces),
    };
    watching.spawn(watches.run(synced_sender));
    let (leading_sender, leading) = watch::channel(false);
    let identity = kubernetes.identity.clone();
    let lease = Lease::new(client.clone(), &kubernetes.namespace, NAME, identity);
    let statuses = Statuses::new(client.clone(), Arc::clone(brain), counting, &kubernetes.pod);
    competing.spawn(leader::lead(lease, statuses, leading_sender, synced.clone(), stop));
    Running { synced, leading, watching, competing }
}

/// The parameters of all watches.
struct Watching {
    client: Client,
    brain: Arc<Brain>,
    scopes: Vec<Scope>,
}

impl Watching {
    /// Watches for ever. `synced` turns true after the first complete list of all kinds.
    ///
    /// Services are watched after apps are listed, because only referenced Services are kept.
    async fn run(self, synced: Sender<bool>) {
        let (mut resources, mut services) = (Group::default(), Group::default());
        self.add::<Raw<WebhookApp>>(&mut resources);
        self.add::<Raw<Webhook>>(&mut resources);
        let listed = resources.listed();
        select! {
            () = resources.run() => return,
            () = listed => {}
        }
        // The lists that follow contain these Services. Those referenced later may have to be
        // fetched.
        let named = self.brain.look_ups().take_all();
        self.add::<Service>(&mut services);
        self.add::<EndpointSlice>(&mut services);
        let mut secrets = Secrets::new(self.client.clone(), Arc::clone(&self.brain));
        let (listed, answered) = (services.listed(), none_left(&secrets.unanswered));
        let then = async {
            listed.await;
            answered.await;
            self.brain.apply(named.into_iter().map(Change::ServiceSettled));
            tracing::info!("all resources are known");
            synced.send_replace(true);
            services::look_up(&self.client, &self.brain).await;
        };
        select! {
            () = resources.run() => {}
            () = services.run() => {}
            () = secrets.run() => {}
            () = then => {}
        }
    }

    fn add<K: Watched>(&self, group: &mut Group) {
        for scope in &self.scopes {
            group.unlisted.send_modify(|left| *left += 1);
            let (client, brain) = (self.client.clone(), Arc::clone(&self.brain));
            let watch = watch::<K>(client, scope.clone(), brain, group.unlisted.clone());
            group.watches.spawn(watch);
        }
    }
}

/// A group of watches. Dropping it ends them.
#[derive(Default)]
struct Group {
    watches: JoinSet<()>,
    /// The number of watches whose first list is incomplete.
    unlisted: Sender<usize>,
}

impl Group {
    /// Resolves when the first list of each watch is complete.
    fn listed(&self) -> impl Future<Output = ()> + use<> {
        none_left(&self.unlisted)
    }

    /// Never returns, because no watch ends. Propagates a panic of a watch.
    async fn run(&mut self) {
        while let Some(ended) = self.watches.join_next().await {
            end_of(ended);
        }
    }
}

/// Resolves when a count is zero.
fn none_left(count: &Sender<usize>) -> impl Future<Output = ()> + use<> {
    let mut count = count.subscribe();
    async move { drop(count.wait_for(|left| *left == 0).await) }
}

/// Propagates the panic of a task.
pub fn end_of(ended: Result<(), JoinError>) {
    if let Err(Ok(panic)) = ended.map_err(JoinError::try_into_panic) {
        std::panic::resume_unwind(panic);
    }
}

fn scopes(namespaces: &[String]) -> Vec<Scope> {
    if namespaces.is_empty() {
        return vec![Scope::All];
    }
    namespaces.iter().cloned().map(Scope::Namespace).collect()
}

/// Waits until a flag is true, or its sender is dropped.
pub async fn turns(flag: &mut Receiver<bool>) {
    drop(flag.wait_for(|on| *on).await);
}
