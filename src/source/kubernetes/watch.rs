//! One watch: converts the API server's events into changes for the runner.

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
use super::call::{code, describe};
use super::kinds::{WatchedKind, is_terminating};
use crate::plan::{Change, Key};
use crate::source::PlanRunner;
use crate::source::metrics::WatchTracker;

/// The API server ends a watch after this long; it is then resumed from the same version. A
/// connection that died silently is detected soon after.
pub const LIFETIME: Duration = Duration::from_secs(60);

/// How many events of the initial list are applied at once.
const BATCH: usize = 256;

/// The objects of a watch.
#[derive(Clone, Debug)]
pub enum WatchScope {
    /// All objects of the kind.
    All,
    /// All objects of a namespace.
    Namespace(String),
    /// One object, which may be missing.
    Object(Key),
}

impl WatchScope {
    fn covers(&self, key: &Key) -> bool {
        match self {
            Self::All => true,
            Self::Namespace(namespace) => *key.namespace == **namespace,
            Self::Object(object) => key == object,
        }
    }
}

/// Watches a kind for ever. Decrements `unsynced` when the first list is complete, and for a single
/// object also when the request is rejected.
///
/// While the API server is unreachable, the known objects stay in force.
pub async fn watch<K: WatchedKind>(
    client: Client,
    scope: WatchScope,
    runner: Arc<PlanRunner>,
    unsynced: Sender<usize>,
) {
    let mut config = watcher::Config::default().timeout(LIFETIME.as_secs() as u32);
    let api = match &scope {
        WatchScope::All => Api::<K>::all(client),
        WatchScope::Namespace(namespace) => Api::namespaced(client, namespace),
        WatchScope::Object(Key { namespace, name }) => {
            config = config.fields(&format!("metadata.name={name}"));
            Api::namespaced(client, namespace)
        }
    };
    let events = start(api, config).backoff(WatchBackoff::default()).ready_chunks(BATCH);
    let mut events = pin!(events);
    let metrics_source = runner.clone();
    let mut feed = Feed {
        scope,
        tracker: metrics_source.signals().watch(&K::kind(&())),
        runner,
        unsynced: Some(unsynced),
        listed: HashSet::new(),
        outage: Outage::default(),
    };
    while let Some(batch) = events.next().await {
        feed.take(batch);
    }
}

/// The state of one watch.
struct Feed<'a> {
    scope: WatchScope,
    tracker: WatchTracker<'a>,
    runner: Arc<PlanRunner>,
    /// `None` once the first list is complete.
    unsynced: Option<Sender<usize>>,
    /// The objects of the running list so far.
    listed: HashSet<Key>,
    outage: Outage,
}

impl Feed<'_> {
    fn take<K: WatchedKind>(&mut self, batch: Vec<watcher::Result<Event<K>>>) {
        let mut changes = Vec::new();
        for event in batch {
            match event {
                Ok(event) => self.take_event(event, &mut changes),
                Err(error) => {
                    self.report::<K>(&error);
                    self.give_up_waiting::<K>(&error);
                }
            }
        }
        if !changes.is_empty() {
            self.runner.apply(changes);
        }
    }

    fn take_event<K: WatchedKind>(&mut self, event: Event<K>, changes: &mut Vec<Change>) {
        // `Init` precedes every attempt to list, including those that fail.
        if !matches!(event, Event::Init) && self.outage.succeeded() {
            self.tracker.resumed();
            tracing::info!(kind = %K::kind(&()), "the watch resumed");
        }
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(object) => {
                if !is_terminating(&object) {
                    self.listed.insert(Key::of(&object));
                }
                changes.push(object.into_change());
            }
            Event::InitDone => {
                self.runner.apply(std::mem::take(changes));
                self.forget_missing::<K>();
                self.count_synced();
            }
            Event::Apply(object) => changes.push(object.into_change()),
            Event::Delete(object) => changes.push(K::deletion(Key::of(&object))),
        }
    }

    /// Removes the objects that are missing in the list, within the scope of this watch. No other
    /// watch of the kind covers that scope.
    fn forget_missing<K: WatchedKind>(&mut self) {
        let listed = std::mem::take(&mut self.listed);
        let mut missing = K::missing(&self.runner.planner(), &listed);
        missing.retain(|change| self.scope.covers(change.key()));
        self.runner.apply(missing);
    }

    /// A single object that a tenant references must not delay all others. If reading it is
    /// forbidden, it counts as missing. If reading it fails, nothing waits for it any longer.
    fn give_up_waiting<K: WatchedKind>(&mut self, error: &watcher::Error) {
        let WatchScope::Object(key) = &self.scope else { return };
        if is_refusal(error) {
            self.runner.apply([K::deletion(key.clone())]);
        }
        self.count_synced();
    }

    fn count_synced(&mut self) {
        if let Some(unsynced) = self.unsynced.take() {
            unsynced.send_modify(|left| *left -= 1);
        }
    }

    /// Logs one warning for each outage, however many retries fail.
    fn report<K: WatchedKind>(&mut self, error: &watcher::Error) {
        let kind = K::kind(&());
        let why = explain(error);
        let now = Instant::now();
        self.tracker.interrupted(now);
        match self.outage.failed(now) {
            1 => {
                tracing::warn!(%kind, why, "watch interrupted, serving from the last known state")
            }
            _ => tracing::debug!(%kind, why, "the watch is still interrupted"),
        }
    }
}

/// Nothing waits for a watch that was aborted.
impl Drop for Feed<'_> {
    fn drop(&mut self) {
        self.count_synced();
    }
}

fn is_refusal(error: &watcher::Error) -> bool {
    use watcher::Error;
    match error {
        Error::InitialListFailed(error)
        | Error::WatchStartFailed(error)
        | Error::WatchFailed(error) => code(error) == Some(403),
        Error::WatchError(status) => status.code == 403,
        Error::NoResourceVersion => false,
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
