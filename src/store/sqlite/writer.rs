//! The thread that owns the file. It runs all queued writes in one transaction and replies after
//! the commit, so that many writes share one fsync (group commit).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use tokio::sync::watch;

use super::command::{Command, CommandKind, Operation};
use super::engine::Engine;
use super::failure::Failure;
use super::quota::Clearance;
use super::space::{Room, Space, Usage};
use super::{owners, retention, set_back};
use crate::moment::Moment;
use crate::routes::AppId;
use crate::store::metrics::Commits;
use crate::store::{DueApps, Health, OWNER_KEPT, StoreError};

/// Maximum number of operations and body bytes of a batch.
const BATCH_COMMANDS: usize = 1024;
const BATCH_BYTES: usize = 8 << 20;

/// How many deliveries are deleted in one transaction.
const DELETE_BATCH: usize = 200;

/// Approximate maximum size of a write, excluding the event's body.
const WRITE_BYTES: usize = 2048;

/// Interval of maintenance while there are writes.
const MEASURED_EVERY: Duration = Duration::from_millis(500);

/// How often expired owners are deleted.
const OWNERS_PRUNED_EVERY: Duration = Duration::from_secs(3600);

/// How often the time is recorded while deliveries are pending and nothing else is saved.
const CLOCK_RECORDED_EVERY: Duration = Duration::from_secs(30);

/// Maximum interval of maintenance without writes.
const IDLE: Duration = Duration::from_secs(60);

/// Returns the current time.
pub type Clock = Box<dyn Fn() -> Moment + Send>;

/// State that the writer thread shares with callers and readers.
#[derive(Debug)]
pub struct SharedState {
    /// Apps with due deliveries.
    pub due_apps: Arc<DueApps>,
    /// Measurements of commits.
    pub commits: Commits,
    /// Health of the store.
    pub health: watch::Sender<Health>,
    /// Size of the store, updated by each measurement.
    pub stats: RwLock<StoreStats>,
}

/// Measurements of the stored data.
#[derive(Debug, Default)]
pub struct StoreStats {
    /// Disk usage.
    pub usage: Usage,
    /// Number of undelivered deliveries by app.
    pub undelivered: HashMap<AppId, i64>,
    /// When the oldest of them was created, by app.
    pub oldest: Vec<(AppId, Moment)>,
}

impl SharedState {
    /// Marks the store as failed: it rejects all further operations. Only the first error is logged
    /// and reported.
    pub fn fail(&self, why: &str) -> StoreError {
        let is_first = self.health.send_if_modified(|health| {
            let is_first = !matches!(health, Health::Failed(_));
            if is_first {
                *health = Health::Failed(why.into());
            }
            is_first
        });
        if is_first {
            tracing::error!(
                error = why,
                "the store failed: rejecting triggers until the operator is restarted"
            );
        }
        StoreError::Failed(why.into())
    }

    /// Returns an error if the store has failed.
    pub fn check(&self) -> Result<(), StoreError> {
        match &*self.health.borrow() {
            Health::Failed(why) => Err(StoreError::Failed(why.clone())),
            Health::Serving | Health::Full | Health::Unavailable(_) => Ok(()),
        }
    }

    /// Sets whether new events are rejected. A failed store stays failed.
    fn set_full(&self, is_full: bool) {
        self.health.send_if_modified(|health| {
            let is_failed = matches!(health, Health::Failed(_));
            if !is_failed {
                *health = if is_full { Health::Full } else { Health::Serving };
            }
            !is_failed
        });
    }
}

/// The state of the writer thread.
pub struct Writer {
    engine: Engine,
    shared: Arc<SharedState>,
    space: Space,
    retention: Duration,
    clock: Clock,
    room: Room,
    /// Upper bound of the bytes written since the last measurement.
    unmeasured: usize,
    /// When expired owners are deleted next.
    owners_pruned_next: Moment,
    /// The recorded time, see [`set_back`].
    clock_recorded: Moment,
}

impl Writer {
    /// Creates a writer. Finished deliveries are deleted after `retention`.
    pub fn new(
        engine: Engine,
        shared: Arc<SharedState>,
        space: Space,
        retention: Duration,
        clock: Clock,
    ) -> rusqlite::Result<Self> {
        let room = Room::Enough;
        // The file was opened just now, which recorded the time.
        let clock_recorded = clock();
        let mut writer = Self {
            engine,
            shared,
            space,
            retention,
            clock,
            room,
            unmeasured: 0,
            owners_pruned_next: clock_recorded + OWNERS_PRUNED_EVERY,
            clock_recorded,
        };
        writer.measure()?;
        let due: Vec<_> = writer.engine.take_due().collect();
        writer.shared.due_apps.notify(due);
        Ok(writer)
    }

    /// Runs commands until all senders are dropped.
    pub fn run(mut self, commands: &Receiver<Command>) {
        let fail_on_panic = FailOnPanic(self.shared.clone());
        if let Err(error) = self.work(commands) {
            let error = self.shared.fail(&error.to_string());
            // Rejects all further commands until the senders are dropped.
            commands.iter().for_each(|command| command.operation.finish(Err(error.clone())));
        }
        drop(fail_on_panic);
    }

    fn work(&mut self, commands: &Receiver<Command>) -> rusqlite::Result<()> {
        let mut next = Instant::now();
        loop {
            match commands.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(first) => {
                    self.batch(first, commands)?;
                    // Soon, as something changed; but not after each batch.
                    next = next.min(Instant::now() + MEASURED_EVERY);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.save((self.clock)()),
            }
            if next <= Instant::now() {
                next = Instant::now() + self.run_maintenance()?;
            }
        }
    }

    /// Runs a command and those queued behind it.
    fn batch(&mut self, first: Command, commands: &Receiver<Command>) -> rusqlite::Result<()> {
        let (mut writes, mut reads) = (Vec::new(), Vec::new());
        let (mut next, mut bytes) = (Some(first), 0);
        while let Some(Command { kind, operation }) = next {
            match kind {
                CommandKind::Read => reads.push(operation),
                CommandKind::Accept { .. } if self.room == Room::None => {
                    operation.finish(Err(StoreError::Full));
                }
                CommandKind::Accept { bytes: len } => {
                    bytes += len;
                    writes.push(operation);
                }
                CommandKind::Write => writes.push(operation),
            }
            let is_full = writes.len() + reads.len() >= BATCH_COMMANDS || bytes >= BATCH_BYTES;
            next = if is_full { None } else { commands.try_recv().ok() };
        }
        self.unmeasured += bytes + writes.len() * WRITE_BYTES;
        if !writes.is_empty() {
            self.shared.commits.writes.number(writes.len() as u64);
        }
        self.write(writes)?;
        // Measures again before the writes can use up the reserve.
        if self.unmeasured as u64 > self.space.reserve / 4 {
            self.measure()?;
        }
        reads.into_iter().try_for_each(|read| self.read(read))?;
        self.end_unreadable()
    }

    /// Runs all writes in one transaction. If an operation fails with an isolated error, retries
    /// each half in its own transaction, until only the failing operation is rejected.
    fn write(&mut self, mut writes: Vec<Box<dyn Operation>>) -> rusqlite::Result<()> {
        if writes.is_empty() {
            return Ok(());
        }
        let done = self.transaction(|writer| {
            writes.iter_mut().try_for_each(|write| write.run(&mut writer.engine))
        });
        if writes.len() > 1 && done.as_ref().is_err_and(Failure::is_isolated) {
            let rest = writes.split_off(writes.len() / 2);
            self.write(writes)?;
            return self.write(rest);
        }
        let (committed, fatal) = self.split_error(done);
        writes.into_iter().for_each(|write| write.finish(committed.clone()));
        fatal.map_or(Ok(()), Err)
    }

    fn read(&mut self, mut read: Box<dyn Operation>) -> rusqlite::Result<()> {
        let done = read.run(&mut self.engine);
        let (done, fatal) = self.split_error(done);
        read.finish(done);
        fatal.map_or(Ok(()), Err)
    }

    /// Splits a result into the reply to callers and a fatal error.
    fn split_error(
        &self,
        done: rusqlite::Result<()>,
    ) -> (Result<(), StoreError>, Option<rusqlite::Error>) {
        let Err(error) = done else { return (Ok(()), None) };
        match Failure::of(&error) {
            Failure::Transient(known) => (Err(known), None),
            Failure::Isolated => {
                tracing::error!(%error, "a store operation failed; others are not affected");
                (Err(StoreError::Rejected(error.to_string().into())), None)
            }
            Failure::Fatal => (Err(self.shared.fail(&error.to_string())), Some(error)),
        }
    }

    /// Marks unreadable deliveries as dead, so that they do not block later ones.
    fn end_unreadable(&mut self) -> rusqlite::Result<()> {
        let unreadable = self.engine.take_unreadable();
        if unreadable.is_empty() {
            return Ok(());
        }
        let now = (self.clock)();
        let done = self.transaction(|writer| writer.engine.end_unreadable(&unreadable, now));
        self.tolerate_transient(done)
    }

    /// Logs and ignores an error of maintenance that is not fatal: maintenance runs again later.
    fn tolerate_transient(&self, done: rusqlite::Result<()>) -> rusqlite::Result<()> {
        let Err(error) = done else { return Ok(()) };
        match Failure::of(&error) {
            Failure::Transient(_) => Ok(()),
            Failure::Isolated => {
                tracing::error!(%error, "store maintenance failed; retrying later");
                Ok(())
            }
            Failure::Fatal => Err(error),
        }
    }

    fn transaction(
        &mut self,
        work: impl FnOnce(&mut Self) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        self.engine.begin()?;
        let done = work(self).and_then(|()| self.commit());
        if let Err(error) = done {
            if Failure::of(&error) == Failure::Transient(StoreError::Full) {
                self.set_room(Room::None);
            }
            self.engine.roll_back()?;
            return Err(error);
        }
        let due: Vec<_> = self.engine.take_due().collect();
        self.shared.due_apps.notify(due);
        Ok(())
    }

    fn commit(&mut self) -> rusqlite::Result<()> {
        let began = Instant::now();
        self.engine.commit()?;
        self.shared.commits.took.time(began.elapsed());
        Ok(())
    }

    /// Measures the store, deletes expired rows and makes room. Returns the time until the next round.
    fn run_maintenance(&mut self) -> rusqlite::Result<Duration> {
        self.measure()?;
        let now = (self.clock)();
        if self.engine.has_unsaved() || self.is_clock_due(now) {
            self.save(now)?;
        }
        if self.delete_expired(now - self.retention, now)? {
            return Ok(Duration::ZERO);
        }
        let clearances = self.engine.clearances();
        if self.make_room(&clearances)? {
            return Ok(Duration::ZERO);
        }
        if self.room != Room::Enough || !clearances.is_empty() {
            return Ok(MEASURED_EVERY);
        }
        self.prune_owners(now)?;
        let db = self.engine.db();
        let end = retention::first_end(db)?.map(|end| end + self.retention);
        let window = retention::first_window(db)?;
        let next = end.into_iter().chain(window).min().unwrap_or(Moment::NEVER);
        Ok(next.since(now).clamp(MEASURED_EVERY, IDLE))
    }

    /// Deletes expired owners if [`OWNERS_PRUNED_EVERY`] has passed.
    fn prune_owners(&mut self, now: Moment) -> rusqlite::Result<()> {
        if now < self.owners_pruned_next {
            return Ok(());
        }
        self.owners_pruned_next = now + OWNERS_PRUNED_EVERY;
        let until = now - self.retention.max(OWNER_KEPT);
        let pruned = self.transaction(|writer| owners::prune(writer.engine.db(), until).map(drop));
        self.tolerate_transient(pruned)
    }

    /// Saves what the file need not have at each commit: the numbers for people, and the time. If it fails for now, the
    /// next round saves them.
    fn save(&mut self, now: Moment) -> rusqlite::Result<()> {
        let saved = self.transaction(|writer| {
            set_back::record(writer.engine.db(), now)?;
            writer.engine.save_tallies()
        });
        if saved.is_ok() {
            self.clock_recorded = now;
        }
        self.tolerate_transient(saved)
    }

    /// Whether the recorded time is out of date. Without pending deliveries it does not matter: nothing can be late.
    fn is_clock_due(&self, now: Moment) -> bool {
        let is_pending = !self.engine.undelivered().apps().is_empty();
        is_pending && now.since(self.clock_recorded) >= CLOCK_RECORDED_EVERY
    }

    /// Deletes one batch of expired rows. Returns whether more may be left.
    fn delete_expired(&mut self, until: Moment, now: Moment) -> rusqlite::Result<bool> {
        let db = self.engine.db();
        let has_expired = retention::first_end(db)?.is_some_and(|end| end <= until);
        let has_passed_window = retention::first_window(db)?.is_some_and(|window| window <= now);
        if !has_expired && !has_passed_window {
            return Ok(false);
        }
        let done =
            self.transaction(|writer| writer.engine.delete_expired(until, now, DELETE_BATCH));
        match done {
            Ok(()) => {
                if self.room != Room::Enough {
                    self.measure()?;
                }
                Ok(true)
            }
            Err(error) => self.tolerate_transient(Err(error)).map(|()| false),
        }
    }

    /// Deletes one batch of finished deliveries early to free space. Returns whether more may be
    /// left.
    fn make_room(&mut self, clearances: &[Clearance]) -> rusqlite::Result<bool> {
        if clearances.is_empty() {
            return Ok(false);
        }
        let mut count = 0;
        let done = self.transaction(|writer| {
            count = writer.engine.make_room(clearances, DELETE_BATCH)?;
            Ok(())
        });
        match done {
            Ok(()) if count > 0 => self.measure().map(|()| true),
            done => self.tolerate_transient(done).map(|()| false),
        }
    }

    fn measure(&mut self) -> rusqlite::Result<()> {
        let usage = self.space.usage(self.engine.db())?;
        let undelivered = self.engine.undelivered().apps().clone();
        let oldest = self.engine.undelivered().oldest().collect();
        let mut stats = self.shared.stats.write();
        *stats = StoreStats { usage, undelivered, oldest };
        drop(stats);
        self.set_room(self.space.room(usage));
        self.unmeasured = 0;
        Ok(())
    }

    fn set_room(&mut self, room: Room) {
        let (was_full, is_full) = (self.room == Room::None, room == Room::None);
        self.room = room;
        self.engine.set_scarce(room != Room::Enough);
        if is_full && !was_full {
            tracing::warn!("the store is full: rejecting triggers until space is freed");
        } else if was_full && !is_full {
            tracing::info!("the store has free space again: accepting triggers");
        }
        if is_full != was_full {
            self.shared.set_full(is_full);
        }
    }
}

/// Marks the store as failed if the writer thread panics.
struct FailOnPanic(Arc<SharedState>);

impl Drop for FailOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail("the store thread panicked");
        }
    }
}
