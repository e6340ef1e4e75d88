//! The tasks of a source that runs, and how they end.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use tokio::select;
use tokio::sync::watch::{self, Receiver, Sender};
use tokio::task::{JoinError, JoinSet};

use super::kinds::Watched;
use super::lease::Lease;
use super::raw::Raw;
use super::statuses::Statuses;
use super::watch::watch;
use super::{Kubernetes, NAME, leader};
use crate::resources::{Webhook, WebhookApp};
use crate::source::Brain;

/// A source at work. Dropping it ends it at once, without giving the lease back.
pub struct Running {
    synced: Receiver<bool>,
    leading: Receiver<bool>,
    tasks: JoinSet<()>,
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

    /// Waits for the end after `stop` turned true: at most some seconds, for the lease.
    ///
    /// # Errors
    /// When a task panicked: the others are ended then, because a source in part is none.
    pub async fn join(mut self) -> Result<(), JoinError> {
        while let Some(ended) = self.tasks.join_next().await {
            ended?;
        }
        Ok(())
    }
}

/// Starts the watches and the competition for the lease.
pub fn start(kubernetes: &Kubernetes, brain: &Arc<Brain>, stop: Receiver<bool>) -> Running {
    let client = &kubernetes.client;
    let mut watches = Watches { kubernetes, brain, stop: &stop, tasks: JoinSet::new() };
    let scopes = scopes(&kubernetes.watch_namespaces);
    let unsynced = Sender::new(KINDS * scopes.len());
    for namespace in scopes {
        watches.add::<Raw<WebhookApp>>(&namespace, &unsynced);
        watches.add::<Raw<Webhook>>(&namespace, &unsynced);
        watches.add::<Service>(&namespace, &unsynced);
    }
    let mut tasks = watches.tasks;
    let (synced_sender, synced) = watch::channel(false);
    tasks.spawn(until(stop.clone(), announce(unsynced.subscribe(), synced_sender)));
    let (leading_sender, leading) = watch::channel(false);
    let identity = kubernetes.identity.clone();
    let lease = Lease::new(client.clone(), &kubernetes.namespace, NAME, identity);
    let statuses = Statuses::new(client.clone(), Arc::clone(brain));
    tasks.spawn(leader::lead(lease, statuses, leading_sender, synced.clone(), stop));
    Running { synced, leading, tasks }
}

/// How many kinds are watched in each namespace.
const KINDS: usize = 3;

struct Watches<'a> {
    kubernetes: &'a Kubernetes,
    brain: &'a Arc<Brain>,
    stop: &'a Receiver<bool>,
    tasks: JoinSet<()>,
}

impl Watches<'_> {
    fn add<K: Watched>(&mut self, namespace: &Option<String>, unsynced: &Sender<usize>) {
        let client = self.kubernetes.client.clone();
        let watch = watch::<K>(client, namespace.clone(), Arc::clone(self.brain), unsynced.clone());
        self.tasks.spawn(until(self.stop.clone(), watch));
    }
}

fn scopes(namespaces: &[String]) -> Vec<Option<String>> {
    if namespaces.is_empty() {
        return vec![None];
    }
    namespaces.iter().cloned().map(Some).collect()
}

async fn announce(mut unsynced: Receiver<usize>, synced: Sender<bool>) {
    // The count's senders live in the watches: without them there is nothing to announce.
    if unsynced.wait_for(|left| *left == 0).await.is_ok() {
        tracing::info!("all resources are known");
        synced.send_replace(true);
    }
    // Kept, so that receivers do not see a closed channel.
    synced.closed().await;
}

async fn until(mut stop: Receiver<bool>, work: impl Future<Output = ()>) {
    select! {
        () = turns(&mut stop) => {}
        () = work => {}
    }
}

/// Waits until a flag is true, or until nobody can turn it any more.
pub async fn turns(flag: &mut Receiver<bool>) {
    drop(flag.wait_for(|on| *on).await);
}
