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
use super::call::{code, describe};
use super::kinds::{Watched, is_going};
use crate::plan::{Change, Key};
use crate::source::Brain;
use crate::source::signals::Watch;

/// After this long the API server ends a watch, which goes on where it was. A connection that is
/// dead without a word is noticed soon after it.
pub const LIFETIME: Duration = Duration::from_secs(60);

/// How many events that are there already are taken in at once.
const BATCH: usize = 256;

/// What a watch is about.
#[derive(Clone, Debug)]
pub enum Scope {
    /// All objects of the kind.
    All,
    /// Those of a namespace.
    Namespace(String),
    /// One object, which need not be there.
    Object(Key),
}

impl Scope {
    fn covers(&self, key: &Key) -> bool {
        match self {
            Self::All => true,
            Self::Namespace(namespace) => *key.namespace == **namespace,
            Self::Object(object) => key == object,
        }
    }
}

/// Watches a kind for ever. Takes one off `unsynced` when the first list is complete; of one object
/// alone, also when it is refused.
///
/// What was told stays told while the API server is away.
pub async fn watch<K: Watched>(
    client: Client,
    scope: Scope,
    brain: Arc<Brain>,
    unsynced: Sender<usize>,
) {
    let mut config = watcher::Config::default().timeout(LIFETIME.as_secs() as u32);
    let api = match &scope {
        Scope::All => Api::<K>::all(client),
        Scope::Namespace(namespace) => Api::namespaced(client, namespace),
        Scope::Object(Key { namespace, name }) => {
            config = config.fields(&format!("metadata.name={name}"));
            Api::namespaced(client, namespace)
        }
    };
    let events = start(api, config).backoff(WatchBackoff::default()).ready_chunks(BATCH);
    let mut events = pin!(events);
    let signals = brain.clone();
    let mut feed = Feed {
        scope,
        signal: signals.signals().watch(&K::kind(&())),
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
struct Feed<'a> {
    scope: Scope,
    signal: Watch<'a>,
    brain: Arc<Brain>,
    /// Until the first list is complete.
    unsynced: Option<Sender<usize>>,
    /// What the list under way has had so far.
    listed: HashSet<Key>,
    outage: Outage,
}

impl Feed<'_> {
    fn take<K: Watched>(&mut self, batch: Vec<watcher::Result<Event<K>>>) {
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
            self.brain.apply(changes);
        }
    }

    fn take_event<K: Watched>(&mut self, event: Event<K>, changes: &mut Vec<Change>) {
        // `Init` comes before each try to list, also before one that fails.
        if !matches!(event, Event::Init) && self.outage.over() {
            self.signal.resumed();
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

    /// Forgets what the list did not have: within this watch's own scope, because others are not
    /// in it. Nobody else tells of this kind there.
    fn forget_missing<K: Watched>(&mut self) {
        let listed = std::mem::take(&mut self.listed);
        let mut missing = K::missing(&self.brain.planner(), &listed);
        missing.retain(|change| self.scope.covers(change.key()));
        self.brain.apply(missing);
    }

    /// One object that a tenant names must not hold up all others: what must not be read counts as
    /// not there, and what cannot be read now is waited for by nobody.
    fn give_up_waiting<K: Watched>(&mut self, error: &watcher::Error) {
        let Scope::Object(key) = &self.scope else { return };
        if is_refusal(error) {
            self.brain.apply([K::gone(key.clone())]);
        }
        self.count_synced();
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
        let now = Instant::now();
        self.signal.interrupted(now);
        match self.outage.failed(now) {
            1 => tracing::warn!(%kind, why, "the watch is interrupted, what is known stays served"),
            _ => tracing::debug!(%kind, why, "the watch is still interrupted"),
        }
    }
}

/// One that is ended is waited for no more.
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
