//! The tasks of a source that runs, and how they end.

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

/// A source at work. Dropping it ends it at once, without giving the lease back.
pub struct Running {
    synced: Receiver<bool>,
    leading: Receiver<bool>,
    /// One task each, which ends with this.
    watching: JoinSet<()>,
    competing: JoinSet<()>,
}

impl Running {
    /// Turns true when everything was listed once: from then on this replica can serve.
    pub fn synced(&self) -> Receiver<bool> {
        self.synced.clone()
    }

    /// Whether this replica holds the lease and writes statuses.
    pub fn leading(&self) -> Receiver<bool> {
        self.leading.clone()
    }

    /// Waits until the lease was given back after `stop` turned true: at most some seconds. What is
    /// served then is watched on until this is dropped.
    ///
    /// # Errors
    /// When a task panicked: a source in part is none.
    pub async fn join(&mut self) -> Result<(), JoinError> {
        select! {
            Some(ended) = self.watching.join_next() => ended,
            Some(ended) = self.competing.join_next() => ended,
            else => Ok(()),
        }
    }
}

/// Starts the watches and the competition for the lease.
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

/// What every watch needs.
struct Watching {
    client: Client,
    brain: Arc<Brain>,
    scopes: Vec<Scope>,
}

impl Watching {
    /// Watches for ever; `synced` turns true when everything was listed once.
    ///
    /// Services come after apps: of those only what an app names is kept.
    async fn run(self, synced: Sender<bool>) {
        let (mut resources, mut services) = (Group::default(), Group::default());
        self.add::<Raw<WebhookApp>>(&mut resources);
        self.add::<Raw<Webhook>>(&mut resources);
        let listed = resources.listed();
        select! {
            () = resources.run() => return,
            () = listed => {}
        }
        // These are in the lists that follow; what is named from now on may not be.
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

/// Watches of some kinds. Dropping it ends them.
#[derive(Default)]
struct Group {
    watches: JoinSet<()>,
    /// How many of them have not listed yet.
    unlisted: Sender<usize>,
}

impl Group {
    /// Resolves when each has listed once.
    fn listed(&self) -> impl Future<Output = ()> + use<> {
        none_left(&self.unlisted)
    }

    /// Never resolves, because no watch ends; a panic of one goes on here.
    async fn run(&mut self) {
        while let Some(ended) = self.watches.join_next().await {
            end_of(ended);
        }
    }
}

/// Resolves when a count has come down to nothing.
fn none_left(count: &Sender<usize>) -> impl Future<Output = ()> + use<> {
    let mut count = count.subscribe();
    async move { drop(count.wait_for(|left| *left == 0).await) }
}

/// The end of a task; a panic of it goes on here.
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

/// Waits until a flag is true, or until nobody can turn it any more.
pub async fn turns(flag: &mut Receiver<bool>) {
    drop(flag.wait_for(|on| *on).await);
}
