//! The tasks that run operations. Each has a connection, and runs one transaction at a time.

use std::collections::{HashSet, VecDeque};
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::context::Context;
use super::failure::DatabaseFailure;
use super::link::Connection;
use super::maintenance::{self, ExpiryLimits};
use super::settle::Settlement;
use super::webhooks::SnapshotCache;
use super::{accept, load, refused, settle};
use crate::store::{Accepted, NewEvent, OWNER_KEPT, Settled, StoreError};

/// Maximum number of operations and of body bytes in a batch.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 8 << 20;

/// Interval of maintenance while there are operations.
const BUSY_INTERVAL: Duration = Duration::from_millis(250);

/// Interval of maintenance while there are none.
const IDLE_INTERVAL: Duration = Duration::from_secs(30);

/// Shortest time between two readings of the load.
const LOAD_INTERVAL: Duration = Duration::from_secs(2);

/// How often webhooks are looked up whose waiting deliveries were not promoted.
const UNSTICK_INTERVAL: Duration = Duration::from_secs(5);

/// How often expired owners are deleted.
const OWNERS_INTERVAL: Duration = Duration::from_secs(3600);

/// Sends the result of an operation.
pub type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// An event to be stored.
pub struct AcceptRequest {
    /// The event.
    pub event: NewEvent,
    /// Gets what became of it.
    pub reply: Reply<Accepted>,
}

/// An attempt to be recorded.
pub struct SettleRequest {
    /// The attempt.
    pub settlement: Settlement,
    /// Gets what became of it.
    pub reply: Reply<Settled>,
}

/// An operation that is not batched.
pub type Job =
    Box<dyn for<'a> FnOnce(&'a mut Worker) -> Pin<Box<dyn Future<Output = ()> + 'a>> + Send>;

/// A queue that several workers read.
pub type SharedQueue<T> = Rc<Mutex<mpsc::Receiver<T>>>;

/// A task with a connection.
pub struct Worker {
    /// Its connection.
    pub connection: Connection,
    /// The state of the store.
    pub context: Rc<Context>,
    /// The slot of its tallies.
    pub slot: i16,
    /// Snapshots of webhooks that it has read.
    pub snapshots: SnapshotCache,
    /// Where pruning continues.
    pub pruned_to: i64,
}

impl Worker {
    /// A worker that is not connected yet. Workers of all replicas get slots at random.
    pub fn new(connection: Connection, context: Rc<Context>) -> Self {
        let slot = fastrand::i16(0..16);
        Self { connection, context, slot, snapshots: SnapshotCache::default(), pruned_to: 0 }
    }

    /// Runs operations one by one until the store is closed.
    pub async fn run_jobs(mut self, jobs: SharedQueue<Job>) {
        while let Some(job) = next(&jobs).await {
            job(&mut self).await;
        }
    }

    /// Stores events until the store is closed.
    pub async fn run_accepts(mut self, queue: SharedQueue<AcceptRequest>) {
        let bytes = |request: &AcceptRequest| request.event.content.body.len();
        while let Some(batch) = next_batch(&queue, bytes).await {
            let is_refused = |request: &AcceptRequest| request.event.is_refused;
            let (refused, batch): (Vec<_>, Vec<_>) = batch.into_iter().partition(is_refused);
            if !batch.is_empty() {
                self.context.shared.commits.writes.number(batch.len() as u64);
                self.accept(batch).await;
            }
            if !refused.is_empty() {
                self.look_up(refused).await;
            }
        }
    }

    /// Answers events that are not to be stored.
    async fn look_up(&mut self, refused: Vec<AcceptRequest>) {
        let events: Vec<&NewEvent> = refused.iter().map(|request| &request.event).collect();
        let looked_up =
            self.connection.run(async |link| refused::look_up(link, &events).await).await;
        let answers = match looked_up {
            Ok(answers) => answers.into_iter().map(Ok).collect(),
            Err(failure) => vec![Err(failure.into_store_error()); refused.len()],
        };
        for (request, answer) in refused.into_iter().zip(answers) {
            // Fails if the caller has dropped its future.
            let _ = request.reply.send(answer);
        }
    }

    /// Stores a batch.
    async fn accept(&mut self, batch: Vec<AcceptRequest>) {
        let mut batches = VecDeque::from([batch]);
        while let Some(batch) = batches.pop_front() {
            let began = Instant::now();
            let events: Vec<&NewEvent> = batch.iter().map(|request| &request.event).collect();
            let (rows, slot) = (&self.context.rows, self.slot);
            let accepting =
                self.connection.run(async |link| accept::accept(link, rows, slot, &events).await);
            match accepting.await {
                Ok(outcome) => {
                    self.context.shared.commits.took.time(began.elapsed());
                    self.context.announce(outcome.due);
                    let mut later = Vec::new();
                    for (request, answer) in batch.into_iter().zip(outcome.answers) {
                        match answer {
                            // Fails if the caller has dropped its future.
                            Some(answer) => drop(request.reply.send(Ok(answer))),
                            None => later.push(request),
                        }
                    }
                    if !later.is_empty() {
                        batches.push_back(later);
                    }
                }
                Err(failure) => fail(failure, batch, &mut batches, |request| request.reply),
            }
        }
    }

    /// Records attempts until the store is closed.
    pub async fn run_settles(mut self, queue: SharedQueue<SettleRequest>) {
        let bytes = |request: &SettleRequest| request.settlement.attempted.answer.len();
        while let Some(batch) = next_batch(&queue, bytes).await {
            self.context.shared.commits.writes.number(batch.len() as u64);
            self.settle(batch).await;
        }
    }

    async fn settle(&mut self, batch: Vec<SettleRequest>) {
        let mut batches = VecDeque::from([batch]);
        while let Some(batch) = batches.pop_front() {
            let (batch, later) = one_of_each(batch);
            if !later.is_empty() {
                batches.push_back(later);
            }
            let began = Instant::now();
            let settlements: Vec<&Settlement> =
                batch.iter().map(|request| &request.settlement).collect();
            let slot = self.slot;
            let settling =
                self.connection.run(async |link| settle::settle(link, slot, &settlements).await);
            match settling.await {
                Ok(outcome) => {
                    self.context.shared.commits.took.time(began.elapsed());
                    self.context.announce(outcome.due);
                    for (request, settled) in batch.into_iter().zip(outcome.settled) {
                        let _ = request.reply.send(Ok(settled));
                    }
                }
                Err(failure) => fail(failure, batch, &mut batches, |request| request.reply),
            }
        }
    }

    /// Deletes expired rows, promotes waiting deliveries of ordered webhooks and reads the load,
    /// until it is cancelled.
    pub async fn run_maintenance(mut self, retention: Duration) {
        let now = Instant::now();
        let (mut load_read, mut unstuck, mut owners_pruned) = (now, now, now);
        loop {
            let context = self.context.clone();
            let _ = timeout(IDLE_INTERVAL, context.activity.notified()).await;
            sleep(BUSY_INTERVAL).await;
            let prunes_owners = is_due(&mut owners_pruned, OWNERS_INTERVAL);
            // A failure is that of the database, which the heartbeat reports.
            let deleted = self.delete_expired(retention, prunes_owners).await;
            if is_due(&mut unstuck, UNSTICK_INTERVAL) {
                let _ = self.promote_stuck().await;
            }
            if deleted.is_ok_and(|deleted| deleted) || is_due(&mut load_read, LOAD_INTERVAL) {
                let _ = self.read_load().await;
            }
        }
    }

    /// Returns whether so much was deleted that the load has to be read.
    async fn delete_expired(
        &mut self,
        retention: Duration,
        prunes_owners: bool,
    ) -> Result<bool, DatabaseFailure> {
        let (context, slot) = (self.context.clone(), self.slot);
        let now = (context.clock)();
        let is_scarce = context.shared.load.read().bytes >= context.max_bytes / 10 * 9;
        let expired = ExpiryLimits {
            now,
            finished: if is_scarce { now } else { now - retention },
            owners: prunes_owners.then(|| now - retention.max(OWNER_KEPT)),
        };
        let mut has_deleted = is_scarce;
        while self
            .connection
            .run(async |link| maintenance::delete_expired(link, slot, expired).await)
            .await?
        {
            has_deleted = true;
            if is_scarce {
                break;
            }
        }
        let near_share = context.shared.load.read().near_share.clone();
        for app in near_share {
            has_deleted |= self
                .connection
                .run(async |link| maintenance::delete_finished(link, slot, app).await)
                .await?;
        }
        Ok(has_deleted)
    }

    async fn promote_stuck(&mut self) -> Result<(), DatabaseFailure> {
        let now = (self.context.clock)();
        let promoted =
            self.connection.run(async |link| maintenance::promote_stuck(link, now).await).await?;
        if !promoted.is_empty() {
            self.context.announce(promoted);
        }
        Ok(())
    }

    async fn read_load(&mut self) -> Result<(), DatabaseFailure> {
        let context = self.context.clone();
        let load =
            self.connection.run(async |link| load::read(link, context.max_bytes).await).await?;
        context.set_load(load);
        Ok(())
    }
}

/// Whether the interval has passed; if so, it begins again.
fn is_due(last: &mut Instant, interval: Duration) -> bool {
    let is_due = last.elapsed() >= interval;
    if is_due {
        *last = Instant::now();
    }
    is_due
}

/// Handles the failure of a batch. If one of its operations is invalid, both halves are tried
/// separately, until only that one is rejected.
fn fail<R, T>(
    failure: DatabaseFailure,
    mut batch: Vec<R>,
    batches: &mut VecDeque<Vec<R>>,
    reply: impl Fn(R) -> Reply<T>,
) {
    if let DatabaseFailure::Isolated(error) = &failure {
        if batch.len() > 1 {
            let rest = batch.split_off(batch.len() / 2);
            batches.push_front(rest);
            return batches.push_front(batch);
        }
        tracing::error!(%error, "a store operation failed; others are not affected");
    }
    let error = failure.into_store_error();
    for request in batch {
        // Fails if the caller has dropped its future.
        let _ = reply(request).send(Err(error.clone()));
    }
}

async fn next<T>(queue: &SharedQueue<T>) -> Option<T> {
    queue.lock().await.recv().await
}

/// Waits for an operation, and takes those queued behind it.
async fn next_batch<T>(queue: &SharedQueue<T>, bytes: impl Fn(&T) -> usize) -> Option<Vec<T>> {
    let mut queue = queue.lock().await;
    let mut batch = vec![queue.recv().await?];
    let mut total = bytes(&batch[0]);
    while batch.len() < BATCH && total < BATCH_BYTES {
        let Ok(next) = queue.try_recv() else { break };
        total += bytes(&next);
        batch.push(next);
    }
    Some(batch)
}

/// Splits off all but the first attempt of each delivery.
fn one_of_each(batch: Vec<SettleRequest>) -> (Vec<SettleRequest>, Vec<SettleRequest>) {
    let mut deliveries = HashSet::new();
    batch.into_iter().partition(|request| deliveries.insert(request.settlement.lease.delivery))
}
