//! The shared store: a PostgreSQL database that all replicas use.
//!
//! Events are stored in batches, each in one transaction (group commit), over a few connections.
//! A write is answered when the database has acknowledged its commit. Order and concurrency are
//! those of the database: webhooks with `ordering: Fifo` are locked in it, and leases are rows.
//! `docs/design/postgres.md` has the reasons.
//!
//! A store has one thread. Its tasks are in [`workers`] and [`session`].

mod accept;
mod codec;
mod config;
mod context;
mod creating;
mod durability;
mod failure;
mod history;
mod link;
mod load;
mod maintenance;
mod operations;
mod refused;
mod schema;
mod session;
mod settle;
mod shared;
mod start;
mod statements;
mod take;
mod tls;
mod webhooks;
mod workers;

use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use super::{
    Accepted, Attempted, DeadReason, Detail, DueApps, Filter, Health, History, HistoryScope, Ids,
    Lease, NewEvent, Next, Owner, Queue, Replayed, Settled, StoreError, StoreFuture, StoreMetrics,
    StoredWebhook, Summary, Take, Taken, Tally, WebhookExists,
};
use crate::moment::Moment;
use crate::routes::AppId;
pub use config::{DatabaseUrl, Password, TlsMode, UrlError};
pub use durability::NotDurable;
use failure::DatabaseFailure;
use settle::Settlement;
use shared::PostgresState;
pub use start::OpenError;
use workers::{AcceptRequest, Job, SettleRequest, Worker};

/// How long closing waits for the thread, which ends the session. Otherwise the session expires.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Settings of a store.
#[derive(Clone, Debug)]
pub struct Options {
    /// The database.
    pub url: DatabaseUrl,
    /// The password of its user.
    pub password: Password,
    /// Whether a server without a synchronous standby is refused.
    pub requires_standby: bool,
    /// How long succeeded and dead deliveries are kept.
    pub retention: Duration,
    /// Maximum stored bytes, without indexes and free space.
    pub max_bytes: u64,
    /// How long opening waits for a database that is unavailable.
    pub patience: Duration,
}

/// An open store. Its thread stops after it is dropped.
#[derive(Debug)]
pub struct Postgres {
    // Dropped first: the thread stops when they are closed.
    queues: Queues,
    _closed: Closed,
    shared: Arc<PostgresState>,
    ids: Arc<Ids>,
    max_bytes: u64,
}

/// The queues of the workers.
#[derive(Debug)]
struct Queues {
    accepts: mpsc::Sender<AcceptRequest>,
    settles: mpsc::Sender<SettleRequest>,
    takes: mpsc::Sender<Job>,
    /// Other writes.
    writes: mpsc::Sender<Job>,
    /// Serves lists and details to users.
    reads: mpsc::Sender<Job>,
    /// Serves bodies to the dispatcher, so that user queries do not delay deliveries.
    bodies: mpsc::Sender<Job>,
}

/// Waits for the thread when it is dropped.
#[derive(Debug)]
struct Closed(parking_lot::Mutex<std_mpsc::Receiver<()>>);

impl Drop for Closed {
    fn drop(&mut self) {
        // Ends with an error when the thread has ended, too.
        let _ = self.0.lock().recv_timeout(CLOSE_TIMEOUT);
    }
}

impl Postgres {
    /// Opens the store in a database, and makes its tables if they are missing. `clock` returns the
    /// current time. Blocks until it is open.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(
        options: Options,
        clock: impl Fn() -> Moment + Send + 'static,
    ) -> Result<Self, OpenError> {
        start::open(options, Box::new(clock))
    }

    fn submit<T: Send + 'static>(
        &self,
        queue: &mpsc::Sender<Job>,
        run: impl AsyncFnOnce(&mut Worker) -> Result<T, DatabaseFailure> + Send + 'static,
    ) -> StoreFuture<T> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |worker| {
            Box::pin(async move {
                let result = run(worker).await;
                // Fails if the caller has dropped its future.
                let _ = reply.send(result.map_err(DatabaseFailure::into_store_error));
            })
        });
        let sent = self.shared.check().and_then(|()| send(queue, job));
        answered(sent, answer)
    }
}

fn send<T>(queue: &mpsc::Sender<T>, request: T) -> Result<(), StoreError> {
    queue.try_send(request).map_err(|_| StoreError::Busy)
}

fn answered<T: Send + 'static>(
    sent: Result<(), StoreError>,
    answer: oneshot::Receiver<Result<T, StoreError>>,
) -> StoreFuture<T> {
    Box::pin(async move {
        sent?;
        let stopped = || Err(StoreError::Failed("the store thread has stopped".into()));
        answer.await.unwrap_or_else(|_| stopped())
    })
}

impl Queue for Postgres {
    fn accept(&self, event: NewEvent) -> StoreFuture<Accepted> {
        let (reply, answer) = oneshot::channel();
        let has_space = self.shared.check_space(event.route.app.id);
        let request = AcceptRequest { event, reply };
        answered(has_space.and_then(|()| send(&self.queues.accepts, request)), answer)
    }

    fn take(&self, take: Take) -> StoreFuture<Taken> {
        self.submit(&self.queues.takes, async move |worker| {
            let Worker { connection, context, snapshots, slot, .. } = worker;
            let (session, slot) = (context.session.get(), *slot);
            context.activity.notify_one();
            connection
                .run(async |link| take::take(link, snapshots, session, slot, take).await)
                .await
        })
    }

    fn body(&self, event: Uuid) -> StoreFuture<Option<Bytes>> {
        self.submit(&self.queues.bodies, async move |worker| {
            worker.connection.run(async |link| history::body(link, event).await).await
        })
    }

    fn settle(&self, lease: Lease, attempted: Attempted, next: Next) -> StoreFuture<Settled> {
        let (reply, answer) = oneshot::channel();
        let request = SettleRequest { settlement: Settlement { lease, attempted, next }, reply };
        let sent = self.shared.check().and_then(|()| send(&self.queues.settles, request));
        answered(sent, answer)
    }

    fn give_up(&self, app: AppId, reason: DeadReason, now: Moment) -> StoreFuture<usize> {
        self.submit(&self.queues.writes, async move |worker| {
            let slot = worker.slot;
            worker
                .connection
                .run(async |link| operations::give_up(link, slot, app, reason, now).await)
                .await
        })
    }

    fn owners(&self) -> StoreFuture<Vec<Owner>> {
        self.submit(&self.queues.reads, async move |worker| {
            worker.connection.run(async |link| operations::owners(link).await).await
        })
    }

    fn record_owners(&self, owners: Vec<Owner>, now: Moment) -> StoreFuture<()> {
        self.submit(&self.queues.writes, async move |worker| {
            worker
                .connection
                .run(async |link| operations::record_owners(link, &owners, now).await)
                .await
        })
    }

    fn prune_webhooks(&self, exists: WebhookExists) -> StoreFuture<bool> {
        self.submit(&self.queues.writes, async move |worker| {
            let cursor = worker.pruned_to;
            let next = worker
                .connection
                .run(async |link| operations::prune(link, cursor, &exists).await)
                .await?;
            worker.pruned_to = next.unwrap_or(0);
            Ok(next.is_some())
        })
    }

    fn due_apps(&self) -> Arc<DueApps> {
        self.shared.due_apps.clone()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.shared.health.subscribe()
    }

    fn ids(&self) -> &Ids {
        &self.ids
    }
}

impl History for Postgres {
    fn scope(&self) -> HistoryScope {
        HistoryScope::AllReplicas
    }

    fn list(
        &self,
        filter: Filter,
        cursor: Option<Uuid>,
        limit: usize,
    ) -> StoreFuture<Vec<Summary>> {
        self.submit(&self.queues.reads, async move |worker| {
            worker
                .connection
                .run(async |link| history::list(link, &filter, cursor, limit).await)
                .await
        })
    }

    fn show(&self, id: Uuid) -> StoreFuture<Option<Detail>> {
        self.submit(&self.queues.reads, async move |worker| {
            worker.connection.run(async |link| history::show(link, id).await).await
        })
    }

    fn replay(&self, id: Uuid, now: Moment) -> StoreFuture<Option<Uuid>> {
        self.submit(&self.queues.writes, async move |worker| {
            let Worker { connection, context, slot, .. } = worker;
            let (replay, due) = connection
                .run(async |link| operations::replay(link, *slot, &context.ids, id, now).await)
                .await?;
            context.announce(due);
            Ok(replay)
        })
    }

    fn replay_all(
        &self,
        filter: Filter,
        cursor: Option<Uuid>,
        limit: usize,
        now: Moment,
    ) -> StoreFuture<Replayed> {
        self.submit(&self.queues.writes, async move |worker| {
            let Worker { connection, context, slot, .. } = worker;
            let (replayed, due) = connection
                .run(async |link| {
                    let ids = &context.ids;
                    operations::replay_all(link, *slot, ids, &filter, cursor, limit, now).await
                })
                .await?;
            context.announce(due);
            Ok(replayed)
        })
    }

    fn tallies(&self) -> StoreFuture<Vec<(Arc<StoredWebhook>, Tally)>> {
        self.submit(&self.queues.reads, async move |worker| {
            worker.connection.run(async |link| history::tallies(link).await).await
        })
    }

    fn metrics(&self) -> StoreMetrics {
        let load = self.shared.load.read();
        StoreMetrics {
            bytes: load.bytes,
            max_bytes: self.max_bytes,
            undelivered: load.undelivered.clone(),
            oldest: load.oldest.clone(),
            commit_times: self.shared.commits.took.snapshot(),
            commit_writes: self.shared.commits.writes.snapshot(),
        }
    }
}
