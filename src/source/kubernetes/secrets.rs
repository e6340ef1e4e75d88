//! Watches each referenced Secret by name, so that the operator needs no permission for others.

use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use tokio::select;
use tokio::sync::watch::Sender;
use tokio::task::{AbortHandle, JoinSet};

use super::running::end_of;
use super::watch::{Scope, watch};
use crate::plan::Key;
use crate::source::Brain;

/// The watches of referenced Secrets. Dropping it ends them.
pub struct Secrets {
    client: Client,
    brain: Arc<Brain>,
    watches: JoinSet<()>,
    watched: HashMap<Key, AbortHandle>,
    /// The number of watches without a first result.
    pub unanswered: Sender<usize>,
}

impl Secrets {
    /// Starts watching the Secrets that are referenced already.
    pub fn new(client: Client, brain: Arc<Brain>) -> Self {
        let watches = JoinSet::new();
        let mut secrets =
            Self { client, brain, watches, watched: HashMap::new(), unanswered: Sender::default() };
        for secret in secrets.brain.secrets().take_all() {
            secrets.follow(secret);
        }
        secrets
    }

    /// Starts and ends watches as references change, for ever.
    pub async fn run(&mut self) {
        let brain = self.brain.clone();
        loop {
            select! {
                secret = brain.secrets().take() => self.follow(secret),
                // An aborted watch is ignored; a panic is propagated.
                Some(ended) = self.watches.join_next() => end_of(ended),
            }
        }
    }

    fn follow(&mut self, secret: Key) {
        let is_named = self.brain.planner().secrets().is_named(&secret);
        if !is_named {
            if let Some(watch) = self.watched.remove(&secret) {
                watch.abort();
            }
            return;
        }
        if self.watched.contains_key(&secret) {
            return;
        }
        self.unanswered.send_modify(|count| *count += 1);
        let scope = Scope::Object(secret.clone());
        let (client, brain) = (self.client.clone(), self.brain.clone());
        let work = watch::<Secret>(client, scope, brain, self.unanswered.clone());
        let watch = self.watches.spawn(work);
        self.watched.insert(secret, watch);
    }
}
