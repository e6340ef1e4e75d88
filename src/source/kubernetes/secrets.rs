//! Watches each referenced Secret by name, so that the operator needs no permission for others.

use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use tokio::select;
use tokio::sync::watch::Sender;
use tokio::task::{AbortHandle, JoinSet};

use super::running::propagate_panic;
use super::watch::{WatchScope, watch};
use crate::plan::Key;
use crate::source::PlanRunner;

/// The watches of referenced Secrets. Dropping it ends them.
pub struct SecretWatches {
    client: Client,
    runner: Arc<PlanRunner>,
    watches: JoinSet<()>,
    watched: HashMap<Key, AbortHandle>,
    /// The number of watches without a first result.
    pub unsynced: Sender<usize>,
}

impl SecretWatches {
    /// Starts watching the Secrets that are referenced already.
    pub fn new(client: Client, runner: Arc<PlanRunner>) -> Self {
        let watches = JoinSet::new();
        let mut secrets =
            Self { client, runner, watches, watched: HashMap::new(), unsynced: Sender::default() };
        for secret in secrets.runner.secret_changes().take_all() {
            secrets.update_watch(secret);
        }
        secrets
    }

    /// Starts and ends watches as references change, for ever.
    pub async fn run(&mut self) {
        let runner = self.runner.clone();
        loop {
            select! {
                secret = runner.secret_changes().take() => self.update_watch(secret),
                // An aborted watch is ignored; a panic is propagated.
                Some(result) = self.watches.join_next() => propagate_panic(result),
            }
        }
    }

    fn update_watch(&mut self, secret: Key) {
        let is_referenced = self.runner.planner().secrets().is_named(&secret);
        if !is_referenced {
            if let Some(watch) = self.watched.remove(&secret) {
                watch.abort();
            }
            return;
        }
        if self.watched.contains_key(&secret) {
            return;
        }
        self.unsynced.send_modify(|count| *count += 1);
        let scope = WatchScope::Object(secret.clone());
        let (client, runner) = (self.client.clone(), self.runner.clone());
        let work = watch::<Secret>(client, scope, runner, self.unsynced.clone());
        let watch = self.watches.spawn(work);
        self.watched.insert(secret, watch);
    }
}
