//! Writes the statuses that differ: a few concurrently, each retried until it succeeds.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use tokio::time::{Instant, sleep};
use tokio::{join, select};

use super::backoff::{Outage, delay};
use super::call::{CallError, call};
use super::events::{self, Events};
use super::raw::Raw;
use crate::plan::{Event, Key, Kind, ObjectRef, Observed, OperatorResource, Planner};
use crate::resources::{FIELD_MANAGER, Webhook, WebhookApp};
use crate::source::{Counting, PlanRunner};

/// The maximum number of concurrent writes.
const CONCURRENCY: usize = 8;

/// The longest delay before a failed write is retried.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// Writes statuses and the resulting Events.
pub struct Statuses {
    client: Client,
    runner: Arc<PlanRunner>,
    counting: Counting,
    events: Events,
}

impl Statuses {
    /// Writes the statuses that `runner` computes, including delivery counts. `pod` reports the
    /// Events.
    pub fn new(client: Client, runner: Arc<PlanRunner>, counting: Counting, pod: &str) -> Self {
        let events = Events::new(client.clone(), pod);
        Self { client, runner, counting, events }
    }

    /// Checks all objects, then writes pending statuses, for ever.
    ///
    /// Dropping the future stops all writes.
    pub async fn write(&self) {
        let objects: Vec<_> = self.runner.planner().objects().collect();
        self.runner.pending().add(objects, []);
        join!(
            WriteQueue::new(self).run(),
            self.counting.follow(&self.runner),
            self.events.publish()
        );
    }

    /// Writes one status if it differs. Returns whether it did. A deleted object has no status.
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

    async fn write_due<K: OperatorResource>(&self, object: &ObjectRef) -> Result<bool, CallError> {
        let now = Timestamp::now();
        let due = PendingWrite::of::<K>(&self.runner.planner(), &object.key, now);
        let Some(PendingWrite { status, observed, events }) = due else { return Ok(false) };
        let uid = self.patch::<K>(&object.key, &status).await?;
        self.runner.planner().was_told(object, &observed);
        let regarding = events::regarding::<K>(&object.key, uid);
        events.into_iter().for_each(|event| self.events.enqueue(&regarding, event));
        Ok(true)
    }

    /// Writes a status. Returns the UID of its object.
    async fn patch<K: OperatorResource>(
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
        // The response contains the whole object, whose spec may be the malformed one that the
        // status reports.
        let api = Api::<Raw<K>>::namespaced(self.client.clone(), &key.namespace);
        // Forced, because only the operator owns the status.
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let written = call(api.patch_status(&key.name, &params, &Patch::Apply(&body))).await;
        let written = match written {
            // The API server cannot apply to an object that it cannot convert: one older than the
            // schema, with a spec that contradicts it. A merge patch works.
            Err(error) if error.code() == Some(500) => {
                let params = PatchParams { force: false, ..params };
                call(api.patch_status(&key.name, &params, &Patch::Merge(&body))).await
            }
            written => written,
        };
        written.map(|mut object| object.take_metadata().uid)
    }
}

/// A status to write, and its consequences.
struct PendingWrite<S> {
    status: S,
    observed: Observed,
    events: Vec<Event>,
}

impl<S> PendingWrite<S> {
    /// What to write to an object, if its status differs.
    fn of<K: OperatorResource<Status = S>>(
        planner: &Planner,
        key: &Key,
        now: Timestamp,
    ) -> Option<Self> {
        let status = K::status_to_write(planner, key, now)?;
        let (observed, events) = (K::observed(&status), K::events(planner, key, &status));
        Some(Self { status, observed, events })
    }
}

/// The running writes, and the objects to write later.
struct WriteQueue<'a> {
    statuses: &'a Statuses,
    ready: VecDeque<ObjectRef>,
    writes: FuturesUnordered<BoxFuture<'a, (ObjectRef, Result<bool, CallError>)>>,
    /// The objects in `writes`, and whether they changed meanwhile: an object never has two
    /// concurrent writes.
    in_flight: HashMap<ObjectRef, bool>,
    delays: FuturesUnordered<BoxFuture<'static, ObjectRef>>,
    /// The objects in `delays`.
    delayed: HashSet<ObjectRef>,
    /// Consecutive failures of each object.
    failures: HashMap<ObjectRef, u32>,
    outage: Outage,
}

impl<'a> WriteQueue<'a> {
    fn new(statuses: &'a Statuses) -> Self {
        Self {
            statuses,
            ready: VecDeque::new(),
            writes: FuturesUnordered::new(),
            in_flight: HashMap::new(),
            delays: FuturesUnordered::new(),
            delayed: HashSet::new(),
            failures: HashMap::new(),
            outage: Outage::default(),
        }
    }

    async fn run(mut self) {
        let pending = self.statuses.runner.pending();
        loop {
            self.start_writes();
            select! {
                objects = pending.take(), if self.ready.is_empty() => self.admit(objects),
                Some((object, written)) = self.writes.next() => self.finish(object, written),
                Some(object) = self.delays.next() => {
                    self.delayed.remove(&object);
                    pending.add([object], []);
                }
            }
        }
    }

    /// Starts writes up to the limit.
    fn start_writes(&mut self) {
        while self.writes.len() < CONCURRENCY {
            let Some(object) = self.ready.pop_front() else { return };
            self.in_flight.insert(object.clone(), false);
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
            match self.in_flight.get_mut(&object) {
                Some(is_dirty) => *is_dirty = true,
                None => self.ready.push_back(object),
            }
        }
    }

    fn finish(&mut self, object: ObjectRef, written: Result<bool, CallError>) {
        let is_dirty = self.in_flight.remove(&object).unwrap_or(false);
        if !matches!(written, Ok(false)) {
            self.statuses
                .runner
                .signals()
                .count_status_write(object.kind.as_str(), written.is_ok());
        }
        match written {
            Ok(written) => self.succeeded(&object, written),
            Err(error) => self.failed(&object, &error),
        }
        if is_dirty {
            self.ready.push_back(object);
        }
    }

    fn succeeded(&mut self, object: &ObjectRef, written: bool) {
        self.failures.remove(object);
        if written && self.outage.succeeded() {
            tracing::info!("statuses can be written again");
        }
    }

    fn failed(&mut self, object: &ObjectRef, error: &CallError) {
        let failures = self.failures.entry(object.clone()).or_default();
        *failures += 1;
        let wait = delay(*failures, MAX_BACKOFF);
        // Logs once for each rejected object, and once for an unreachable API server.
        let is_new = match error.code() {
            Some(_) => *failures == 1,
            None => self.outage.failed(Instant::now()) == 1,
        };
        let (kind, key) = (object.kind.as_str(), &object.key);
        if is_new {
            tracing::warn!(kind, %key, %error, "cannot write a status");
        } else {
            tracing::debug!(kind, %key, %error, "cannot write a status");
        }
        if self.delayed.insert(object.clone()) {
            let object = object.clone();
            self.delays.push(sleep(wait).map(|()| object).boxed());
        }
    }
}
