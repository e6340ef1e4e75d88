//! One watch: from the API server's events to the brain.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use kube::Client;
use kube::api::Api;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as start};
use tokio::sync::watch::Sender;
use tokio::time::Instant;

use super::backoff::{Outage, WatchBackoff};
use super::call::describe;
use super::kinds::{Watched, is_going};
use crate::plan::{Change, Key};
use crate::source::Brain;

/// After this long the API server ends a watch, which goes on where it was. A connection that is
/// dead without a word is noticed soon after it.
pub const LIFETIME: Duration = Duration::from_secs(60);

/// How many events that are there already are taken in at once.
const BATCH: usize = 256;

/// Watches a kind in one namespace (`None`: in all), for ever. Takes one off `unsynced` when the
/// first list is complete.
///
/// What was told stays told while the API server is away.
pub async fn watch<K: Watched>(
    client: Client,
    namespace: Option<String>,
    brain: Arc<Brain>,
    unsynced: Sender<usize>,
) {
    let api = match &namespace {
        Some(namespace) => Api::<K>::namespaced(client, namespace),
        None => Api::all(client),
    };
    let config = watcher::Config::default().timeout(LIFETIME.as_secs() as u32);
    let events = start(api, config).backoff(WatchBackoff::default()).ready_chunks(BATCH);
    let mut events = pin!(events);
    let mut feed = Feed {
        namespace,
        brain,
        unsynced: Some(unsynced),
        listed: HashSet::new(),
        outage: Outage::default(),
    };
    while let Some(batch) = events.next().await {
        feed.take(batch);
    }
}

/// What is remembered between the events of one watch.
struct Feed {
    namespace: Option<String>,
    brain: Arc<Brain>,
    /// Until the first list is complete.
    unsynced: Option<Sender<usize>>,
    /// What the list under way has had so far.
    listed: HashSet<Key>,
    outage: Outage,
}

impl Feed {
    fn take<K: Watched>(&mut self, batch: Vec<watcher::Result<Event<K>>>) {
        let mut changes = Vec::new();
        for event in batch {
            match event {
                Ok(event) => self.take_event(event, &mut changes),
                Err(error) => self.report::<K>(&error),
            }
        }
        if !changes.is_empty() {
            self.brain.apply(changes);
        }
    }

    fn take_event<K: Watched>(&mut self, event: Event<K>, changes: &mut Vec<Change>) {
        // `Init` comes before each try to list, also before one that fails.
        if !matches!(event, Event::Init) && self.outage.over() {
            tracing::info!(kind = %K::kind(&()), "the watch goes on");
        }
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(object) => {
                if !is_going(&object) {
                    self.listed.insert(Key::of(&object));
                }
                changes.push(object.told());
            }
            Event::InitDone => {
                self.brain.apply(std::mem::take(changes));
                self.forget_missing::<K>();
                self.count_synced();
            }
            Event::Apply(object) => changes.push(object.told()),
            Event::Delete(object) => changes.push(K::gone(Key::of(&object))),
        }
    }

    /// Forgets what the list did not have: of this watch's own namespace, because the others'
    /// objects are not in it. Nobody else tells of this kind in this namespace.
    fn forget_missing<K: Watched>(&mut self) {
        let listed = std::mem::take(&mut self.listed);
        let mut missing = K::missing(&self.brain.planner(), &listed);
        if let Some(namespace) = self.namespace.as_deref() {
            missing.retain(|change| &*change.key().namespace == namespace);
        }
        self.brain.apply(missing);
    }

    fn count_synced(&mut self) {
        if let Some(unsynced) = self.unsynced.take() {
            unsynced.send_modify(|left| *left -= 1);
        }
    }

    /// One line for an outage, however often it is tried again.
    fn report<K: Watched>(&mut self, error: &watcher::Error) {
        let kind = K::kind(&());
        let why = explain(error);
        match self.outage.failed(Instant::now()) {
            1 => tracing::warn!(%kind, why, "the watch is interrupted, what is known stays served"),
            _ => tracing::debug!(%kind, why, "the watch is still interrupted"),
        }
    }
}

fn explain(error: &watcher::Error) -> String {
    use watcher::Error;
    match error {
        Error::InitialListFailed(error)
        | Error::WatchStartFailed(error)
        | Error::WatchFailed(error) => describe(error),
        Error::WatchError(status) => status.message.clone(),
        Error::NoResourceVersion => error.to_string(),
    }
}
