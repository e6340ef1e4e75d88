//! Writes the statuses that differ: some at a time, each again until it is written.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::core::object::HasStatus;
use kube::{Api, Client, Resource};
use serde::Serialize;
use tokio::time::{Instant, sleep};
use tokio::{join, select};

use super::backoff::{Outage, delay};
use super::call::{CallError, call};
use super::events::{self, Events};
use super::raw::Raw;
use crate::plan::{Event, Key, Kind, ObjectRef, Observed, Planner};
use crate::resources::{FIELD_MANAGER, Webhook, WebhookApp};
use crate::source::{Brain, Counting};

/// How many statuses are written at once.
const CONCURRENCY: usize = 8;

/// The longest wait before a status that could not be written is tried again.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Writes statuses, and the events that follow from them.
pub struct Statuses {
    client: Client,
    brain: Arc<Brain>,
    counting: Counting,
    events: Events,
}

impl Statuses {
    /// Writes what `brain` decides, and what is counted; `pod` is who events are from.
    pub fn new(client: Client, brain: Arc<Brain>, counting: Counting, pod: &str) -> Self {
        let events = Events::new(client.clone(), pod);
        Self { client, brain, counting, events }
    }

    /// Looks through all objects, then writes what becomes pending, for ever.
    ///
    /// When this is dropped, nothing more is written.
    pub async fn write(&self) {
        let objects: Vec<_> = self.brain.planner().objects().collect();
        self.brain.pending().add(objects, []);
        join!(Board::new(self).run(), self.counting.follow(&self.brain), self.events.publish());
    }

    /// Writes one status, if it differs; says whether it did. An object that is gone has none.
    async fn write_one(&self, object: &ObjectRef) -> Result<bool, CallError> {
        let written = match object.kind {
            Kind::WebhookApp => self.write_due::<WebhookApp>(object).await,
            Kind::Webhook => self.write_due::<Webhook>(object).await,
        };
        match written {
            Err(error) if error.code() == Some(404) => Ok(false),
            other => other,
        }
    }

    async fn write_due<K: Written>(&self, object: &ObjectRef) -> Result<bool, CallError> {
        let now = Timestamp::now();
        let due = K::due(&self.brain.planner(), &object.key, now);
        let Some(Due { status, observed, events }) = due else { return Ok(false) };
        let uid = self.patch::<K>(&object.key, &status).await?;
        self.brain.planner().was_told(object, &observed);
        let regarding = events::regarding::<K>(&object.key, uid);
        events.into_iter().for_each(|event| self.events.tell(&regarding, event));
        Ok(true)
    }

    /// Writes a status; says the UID of its object.
    async fn patch<K: Written>(
        &self,
        key: &Key,
        status: &K::Status,
    ) -> Result<Option<String>, CallError> {
        let body = serde_json::json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": {"namespace": key.namespace, "name": key.name},
            "status": status,
        });
        // The answer is the whole object, whose spec may be what the status complains about.
        let api = Api::<Raw<K>>::namespaced(self.client.clone(), &key.namespace);
        // Forced: a status is the operator's alone.
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let written = call(api.patch_status(&key.name, &params, &Patch::Apply(&body))).await;
        let written = match written {
            // Where the API server cannot type the object (one older than the schema that its spec
            // contradicts) it cannot apply, but it can merge.
            Err(error) if error.code() == Some(500) => {
                let params = PatchParams { force: false, ..params };
                call(api.patch_status(&key.name, &params, &Patch::Merge(&body))).await
            }
            written => written,
        };
        written.map(|mut object| object.take_metadata().uid)
    }
}

/// A kind whose status is written.
trait Written:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + HasStatus<Status: Serialize>
    + Clone
    + Debug
{
    /// The status that is to be written.
    fn due(planner: &Planner, key: &Key, now: Timestamp) -> Option<Due<Self::Status>>;
}

/// A status that is to be written, and what follows from that.
struct Due<S> {
    status: S,
    observed: Observed,
    events: Vec<Event>,
}

impl Written for WebhookApp {
    fn due(planner: &Planner, key: &Key, now: Timestamp) -> Option<Due<Self::Status>> {
        let status = planner.app_status(key, now)?;
        let (observed, events) = (Observed::of_app(&status), planner.app_events(key, &status));
        Some(Due { status, observed, events })
    }
}

impl Written for Webhook {
    fn due(planner: &Planner, key: &Key, now: Timestamp) -> Option<Due<Self::Status>> {
        let status = planner.webhook_status(key, now)?;
        let (observed, events) =
            (Observed::of_webhook(&status), planner.webhook_events(key, &status));
        Some(Due { status, observed, events })
    }
}

/// What is being written, and what waits to be written again.
struct Board<'a> {
    statuses: &'a Statuses,
    ready: VecDeque<ObjectRef>,
    writes: FuturesUnordered<BoxFuture<'a, (ObjectRef, Result<bool, CallError>)>>,
    /// What is in `writes`, and whether it became pending meanwhile: never two writes of one object.
    busy: HashMap<ObjectRef, bool>,
    waits: FuturesUnordered<BoxFuture<'static, ObjectRef>>,
    /// What is in `waits`.
    waiting: HashSet<ObjectRef>,
    /// How often each failed in a row.
    failures: HashMap<ObjectRef, u32>,
    outage: Outage,
}

impl<'a> Board<'a> {
    fn new(statuses: &'a Statuses) -> Self {
        Self {
            statuses,
            ready: VecDeque::new(),
            writes: FuturesUnordered::new(),
            busy: HashMap::new(),
            waits: FuturesUnordered::new(),
            waiting: HashSet::new(),
            failures: HashMap::new(),
            outage: Outage::default(),
        }
    }

    async fn run(mut self) {
        let pending = self.statuses.brain.pending();
        loop {
            self.begin();
            select! {
                objects = pending.take(), if self.ready.is_empty() => self.admit(objects),
                Some((object, written)) = self.writes.next() => self.settle(object, written),
                Some(object) = self.waits.next() => {
                    self.waiting.remove(&object);
                    pending.add([object], []);
                }
            }
        }
    }

    /// Begins as many writes as may be under way.
    fn begin(&mut self) {
        while self.writes.len() < CONCURRENCY {
            let Some(object) = self.ready.pop_front() else { return };
            self.busy.insert(object.clone(), false);
            let statuses = self.statuses;
            self.writes.push(
                async move {
                    let written = statuses.write_one(&object).await;
                    (object, written)
                }
                .boxed(),
            );
        }
    }

    fn admit(&mut self, objects: Vec<ObjectRef>) {
        for object in objects {
            match self.busy.get_mut(&object) {
                Some(again) => *again = true,
                None => self.ready.push_back(object),
            }
        }
    }

    fn settle(&mut self, object: ObjectRef, written: Result<bool, CallError>) {
        let again = self.busy.remove(&object).unwrap_or(false);
        if !matches!(written, Ok(false)) {
            self.statuses.brain.signals().status(object.kind.as_str(), written.is_ok());
        }
        match written {
            Ok(written) => self.succeeded(&object, written),
            Err(error) => self.failed(&object, &error),
        }
        if again {
            self.ready.push_back(object);
        }
    }

    fn succeeded(&mut self, object: &ObjectRef, written: bool) {
        self.failures.remove(object);
        if written && self.outage.over() {
            tracing::info!("statuses are written again");
        }
    }

    fn failed(&mut self, object: &ObjectRef, error: &CallError) {
        let failures = self.failures.entry(object.clone()).or_default();
        *failures += 1;
        let wait = delay(*failures, LONGEST_WAIT);
        // One line for each object that is refused, and one for an API server that is away.
        let is_new = match error.code() {
            Some(_) => *failures == 1,
            None => self.outage.failed(Instant::now()) == 1,
        };
        let (kind, key) = (object.kind.as_str(), &object.key);
        if is_new {
            tracing::warn!(kind, %key, %error, "a status could not be written");
        } else {
            tracing::debug!(kind, %key, %error, "a status could not be written");
        }
        if self.waiting.insert(object.clone()) {
            let object = object.clone();
            self.waits.push(sleep(wait).map(|()| object).boxed());
        }
    }
}
