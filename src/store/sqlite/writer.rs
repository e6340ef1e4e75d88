//! The thread that owns the file: it does what waits for it in one transaction and answers after the
//! commit, so that one fsync serves many (group commit).

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::engine::Engine;
use super::failure::Failure;
use super::job::{Command, Job, Kind};
use super::quota::Clearance;
use super::space::{Room, Space, Usage};
use super::{owners, retention, set_back};
use crate::histogram::Histogram;
use crate::moment::Moment;
use crate::routes::AppId;
use crate::store::{Health, News, OWNER_KEPT, StoreError};

/// What one transaction takes at most.
const BATCH_COMMANDS: usize = 1024;
const BATCH_BYTES: usize = 8 << 20;

/// How many deliveries are forgotten in one transaction.
const FORGOTTEN_AT_ONCE: usize = 200;

/// What a write takes at most beside the body of its event, about.
const WRITE_BYTES: usize = 2048;

/// How often the room is measured while there is something to do.
const MEASURED_EVERY: Duration = Duration::from_millis(500);

/// How often old records of owners are deleted.
const OWNERS_PRUNED_EVERY: Duration = Duration::from_secs(3600);

/// How often the time is recorded while something is pending and nothing else is saved.
const CLOCK_RECORDED_EVERY: Duration = Duration::from_secs(30);

/// How long the thread sleeps at most when there is nothing to do.
const IDLE: Duration = Duration::from_secs(60);

/// What the thread tells all others.
#[derive(Debug)]
pub struct Shared {
    /// Which apps have something due.
    pub news: Arc<News>,
    /// What was committed.
    pub commits: Commits,
    /// How the store is.
    pub health: watch::Sender<Health>,
    /// What it holds.
    pub figures: RwLock<Held>,
}

/// What commits there were since the start.
#[derive(Debug)]
pub struct Commits {
    /// How long each took, to stable storage.
    pub took: Histogram,
    /// How many writes were in each.
    pub writes: Histogram,
}

impl Default for Commits {
    fn default() -> Self {
        Self { took: Histogram::of_times(), writes: Histogram::of_numbers() }
    }
}

/// What the store holds.
#[derive(Debug, Default)]
pub struct Held {
    /// Bytes.
    pub usage: Usage,
    /// Undelivered deliveries of each app.
    pub undelivered: HashMap<AppId, i64>,
    /// When the oldest of them began, of each app.
    pub oldest: Vec<(AppId, Moment)>,
}

impl Shared {
    /// The store does nothing more. The first reason is the one that is told.
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
                "the store failed: no trigger is taken any more; start the operator anew"
            );
        }
        StoreError::Failed(why.into())
    }

    /// Refuses everything once the store has failed, whoever found out.
    pub fn check(&self) -> Result<(), StoreError> {
        match &*self.health.borrow() {
            Health::Failed(why) => Err(StoreError::Failed(why.clone())),
            Health::Serving | Health::Full => Ok(()),
        }
    }

    /// Whether there is room for further events.
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

/// The thread's state.
pub struct Writer {
    engine: Engine,
    shared: Arc<Shared>,
    space: Space,
    retention: Duration,
    clock: fn() -> Moment,
    room: Room,
    /// What was written since the room was measured, at most.
    unmeasured: usize,
    /// When old records of owners are deleted next.
    owners_pruned_next: Moment,
    /// The time that the file has, see [`set_back`].
    clock_recorded: Moment,
}

impl Writer {
    /// A writer for a file; what is kept after it has ended is forgotten after `retention`.
    pub fn new(
        engine: Engine,
        shared: Arc<Shared>,
        space: Space,
        retention: Duration,
        clock: fn() -> Moment,
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
        writer.shared.news.tell(due);
        Ok(writer)
    }

    /// Works until nobody can ask for anything any more.
    pub fn run(mut self, commands: &Receiver<Command>) {
        let ended = Ended(self.shared.clone());
        if let Err(error) = self.work(commands) {
            let error = self.shared.fail(&error.to_string());
            // Until the last caller is gone.
            commands.iter().for_each(|command| command.job.answer(Err(error.clone())));
        }
        drop(ended);
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
                next = Instant::now() + self.keep_house()?;
            }
        }
    }

    /// Does one command and those that wait behind it.
    fn batch(&mut self, first: Command, commands: &Receiver<Command>) -> rusqlite::Result<()> {
        let (mut writes, mut reads) = (Vec::new(), Vec::new());
        let (mut next, mut bytes) = (Some(first), 0);
        while let Some(Command { kind, job }) = next {
            match kind {
                Kind::Read => reads.push(job),
                Kind::Accept { .. } if self.room == Room::None => job.answer(Err(StoreError::Full)),
                Kind::Accept { bytes: len } => {
                    bytes += len;
                    writes.push(job);
                }
                Kind::Write => writes.push(job),
            }
            let is_enough = writes.len() + reads.len() >= BATCH_COMMANDS || bytes >= BATCH_BYTES;
            next = if is_enough { None } else { commands.try_recv().ok() };
        }
        self.unmeasured += bytes + writes.len() * WRITE_BYTES;
        if !writes.is_empty() {
            self.shared.commits.writes.number(writes.len() as u64);
        }
        self.write(writes)?;
        // Before as much is written as is kept in reserve.
        if self.unmeasured as u64 > self.space.reserve / 4 {
            self.measure()?;
        }
        reads.into_iter().try_for_each(|read| self.read(read))?;
        self.bury_unreadable()
    }

    /// All of them in one transaction. When one of them fails by its own fault, the halves are tried apart, until
    /// that one is alone and fails alone.
    fn write(&mut self, mut writes: Vec<Box<dyn Job>>) -> rusqlite::Result<()> {
        if writes.is_empty() {
            return Ok(());
        }
        let done = self.transaction(|writer| {
            writes.iter_mut().try_for_each(|write| write.run(&mut writer.engine))
        });
        if writes.len() > 1 && done.as_ref().is_err_and(Failure::is_own) {
            let rest = writes.split_off(writes.len() / 2);
            self.write(writes)?;
            return self.write(rest);
        }
        let (committed, fatal) = self.outcome(done);
        writes.into_iter().for_each(|write| write.answer(committed.clone()));
        fatal.map_or(Ok(()), Err)
    }

    fn read(&mut self, mut read: Box<dyn Job>) -> rusqlite::Result<()> {
        let done = read.run(&mut self.engine);
        let (done, fatal) = self.outcome(done);
        read.answer(done);
        fatal.map_or(Ok(()), Err)
    }

    /// What callers are answered, and the error that ends the store.
    fn outcome(
        &self,
        done: rusqlite::Result<()>,
    ) -> (Result<(), StoreError>, Option<rusqlite::Error>) {
        let Err(error) = done else { return (Ok(()), None) };
        match Failure::of(&error) {
            Failure::Transient(known) => (Err(known), None),
            Failure::Own => {
                tracing::error!(%error, "an operation of the store failed; others are not affected");
                (Err(StoreError::Rejected(error.to_string().into())), None)
            }
            Failure::Fatal => (Err(self.shared.fail(&error.to_string())), Some(error)),
        }
    }

    /// Ends deliveries that cannot be read, so that those behind them go on.
    fn bury_unreadable(&mut self) -> rusqlite::Result<()> {
        let unreadable = self.engine.take_unreadable();
        if unreadable.is_empty() {
            return Ok(());
        }
        let now = (self.clock)();
        let done = self.transaction(|writer| writer.engine.end_unreadable(&unreadable, now));
        self.not_now(done)
    }

    /// Housekeeping that fails for now is done later.
    fn not_now(&self, done: rusqlite::Result<()>) -> rusqlite::Result<()> {
        let Err(error) = done else { return Ok(()) };
        match Failure::of(&error) {
            Failure::Transient(_) => Ok(()),
            Failure::Own => {
                tracing::error!(%error, "housekeeping of the store failed; it is tried again");
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
        self.shared.news.tell(due);
        Ok(())
    }

    fn commit(&mut self) -> rusqlite::Result<()> {
        let began = Instant::now();
        self.engine.commit()?;
        self.shared.commits.took.time(began.elapsed());
        Ok(())
    }

    /// Measures, forgets what is old, and says how long there is nothing to do.
    fn keep_house(&mut self) -> rusqlite::Result<Duration> {
        self.measure()?;
        let now = (self.clock)();
        if self.engine.has_unsaved() || self.is_clock_due(now) {
            self.save(now)?;
        }
        if self.forget(now - self.retention, now)? {
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

    /// Deletes old records of owners, now and then: they are few.
    fn prune_owners(&mut self, now: Moment) -> rusqlite::Result<()> {
        if now < self.owners_pruned_next {
            return Ok(());
        }
        self.owners_pruned_next = now + OWNERS_PRUNED_EVERY;
        let until = now - self.retention.max(OWNER_KEPT);
        let pruned = self.transaction(|writer| owners::prune(writer.engine.db(), until).map(drop));
        self.not_now(pruned)
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
        self.not_now(saved)
    }

    /// Whether the recorded time is old. With nothing pending it does not matter: nothing can be late.
    fn is_clock_due(&self, now: Moment) -> bool {
        let is_pending = !self.engine.open().apps().is_empty();
        is_pending && now.since(self.clock_recorded) >= CLOCK_RECORDED_EVERY
    }

    /// One step; says whether there may be more to forget.
    fn forget(&mut self, until: Moment, now: Moment) -> rusqlite::Result<bool> {
        let db = self.engine.db();
        let ended = retention::first_end(db)?.is_some_and(|end| end <= until);
        let over = retention::first_window(db)?.is_some_and(|window| window <= now);
        if !ended && !over {
            return Ok(false);
        }
        let done = self.transaction(|writer| writer.engine.forget(until, now, FORGOTTEN_AT_ONCE));
        match done {
            Ok(()) => {
                if self.room != Room::Enough {
                    self.measure()?;
                }
                Ok(true)
            }
            // Later, perhaps.
            Err(error) => self.not_now(Err(error)).map(|()| false),
        }
    }

    /// One step of forgetting what has ended before its time, for want of room; says whether there may be more.
    fn make_room(&mut self, clearances: &[Clearance]) -> rusqlite::Result<bool> {
        if clearances.is_empty() {
            return Ok(false);
        }
        let mut count = 0;
        let done = self.transaction(|writer| {
            count = writer.engine.make_room(clearances, FORGOTTEN_AT_ONCE)?;
            Ok(())
        });
        match done {
            Ok(()) if count > 0 => self.measure().map(|()| true),
            done => self.not_now(done).map(|()| false),
        }
    }

    fn measure(&mut self) -> rusqlite::Result<()> {
        let usage = self.space.usage(self.engine.db())?;
        let undelivered = self.engine.open().apps().clone();
        let oldest = self.engine.open().oldest().collect();
        let mut held = self.shared.figures.write().unwrap_or_else(PoisonError::into_inner);
        *held = Held { usage, undelivered, oldest };
        drop(held);
        self.set_room(self.space.room(usage));
        self.unmeasured = 0;
        Ok(())
    }

    fn set_room(&mut self, room: Room) {
        let (was, is) = (self.room == Room::None, room == Room::None);
        self.room = room;
        self.engine.set_scarce(room != Room::Enough);
        if is && !was {
            tracing::warn!("the store is full: triggers are refused until there is room");
        } else if was && !is {
            tracing::info!("the store has room again");
        }
        if is != was {
            self.shared.set_full(is);
        }
    }
}

/// Says that the store failed when its thread ends by a panic.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail("its thread panicked");
        }
    }
}
