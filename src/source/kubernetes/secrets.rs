//! Watches each Secret that a webhook names, by its name: no right to any other is needed.

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

/// The watches of the Secrets that are named. Dropping it ends them.
pub struct Secrets {
    client: Client,
    brain: Arc<Brain>,
    watches: JoinSet<()>,
    watched: HashMap<Key, AbortHandle>,
    /// How many watches have not been answered yet.
    pub unanswered: Sender<usize>,
}

impl Secrets {
    /// Begins to watch those that are named already.
    pub fn new(client: Client, brain: Arc<Brain>) -> Self {
        let watches = JoinSet::new();
        let mut secrets =
            Self { client, brain, watches, watched: HashMap::new(), unanswered: Sender::default() };
        for secret in secrets.brain.secrets().take_all() {
            secrets.follow(secret);
        }
        secrets
    }

    /// Begins and ends watches as Secrets are named, for ever.
    pub async fn run(&mut self) {
        let brain = self.brain.clone();
        loop {
            select! {
                secret = brain.secrets().take() => self.follow(secret),
                // One that was ended is no loss; a panic goes on here.
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
