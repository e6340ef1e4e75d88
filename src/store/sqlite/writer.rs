//! The thread that owns the file: it does what waits for it in one transaction and answers after the
//! commit, so that one fsync serves many (group commit).

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rusqlite::ErrorCode;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use super::engine::Engine;
use super::space::{Room, Space, Usage};
use super::{owners, retention};
use crate::histogram::Histogram;
use crate::moment::Moment;
use crate::routes::AppId;
use crate::store::{
    Accepted, Attempted, Filter, Health, Lease, NewEvent, News, Next, OWNER_KEPT, Owner, Reason,
    Replayed, Settled, StoreError, StoredWebhook, Take, Taken, Tally,
};

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

/// How long the thread sleeps at most when there is nothing to do.
const IDLE: Duration = Duration::from_secs(60);

/// To whom an answer goes.
pub type ReplyTo<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the thread is asked to do.
#[derive(Debug)]
pub enum Command {
    /// See [`crate::store::Store::accept`].
    Accept(Box<NewEvent>, ReplyTo<Accepted>),
    /// See [`crate::store::Store::take`].
    Take(Take, ReplyTo<Taken>),
    /// See [`crate::store::Store::settle`].
    Settle(Lease, Box<(Attempted, Next)>, ReplyTo<Settled>),
    /// See [`crate::store::Store::give_up`].
    GiveUp(AppId, Reason, Moment, ReplyTo<usize>),
    /// See [`crate::store::Store::record_owners`].
    RecordOwners(Vec<Owner>, Moment, ReplyTo<()>),
    /// See [`crate::store::Store::replay`].
    Replay(Uuid, Moment, ReplyTo<Option<Uuid>>),
    /// See [`crate::store::Store::replay_all`].
    ReplayAll(Box<ReplayAll>, ReplyTo<Replayed>),
    /// See [`crate::store::Store::tallies`].
    Tallies(ReplyTo<Vec<(Arc<StoredWebhook>, Tally)>>),
}

/// The arguments of [`crate::store::Store::replay_all`].
#[derive(Debug)]
pub struct ReplayAll {
    pub filter: Filter,
    pub cursor: Option<Uuid>,
    pub limit: usize,
    pub now: Moment,
}

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
}

/// An answer that waits for the commit.
type Answering = Box<dyn FnOnce(Result<(), StoreError>)>;

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
        let owners_pruned_next = clock() + OWNERS_PRUNED_EVERY;
        let unmeasured = 0;
        let mut writer =
            Self { engine, shared, space, retention, clock, room, unmeasured, owners_pruned_next };
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
            // To the end: who asks is answered.
            commands.iter().for_each(|command| refuse(command, &error));
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
                Err(RecvTimeoutError::Disconnected) => return self.save_tallies(),
            }
            if next <= Instant::now() {
                next = Instant::now() + self.keep_house()?;
            }
        }
    }

    /// Does one command and what waits behind it.
    fn batch(&mut self, first: Command, commands: &Receiver<Command>) -> rusqlite::Result<()> {
        let (mut writes, mut takes) = (Vec::new(), Vec::new());
        let (mut next, mut bytes) = (Some(first), 0);
        while let Some(command) = next {
            match command {
                Command::Take(take, reply) => takes.push((take, reply)),
                Command::Tallies(reply) => answer(reply, self.engine.tallies())?,
                Command::Accept(event, reply) if self.room == Room::None => {
                    drop(event);
                    let _ = reply.send(Err(StoreError::Full));
                }
                write => {
                    bytes += weight(&write);
                    writes.push(write);
                }
            }
            let is_enough = writes.len() + takes.len() >= BATCH_COMMANDS || bytes >= BATCH_BYTES;
            next = if is_enough { None } else { commands.try_recv().ok() };
        }
        self.unmeasured += bytes + writes.len() * WRITE_BYTES;
        self.write(writes)?;
        // Before as much is written as is kept in reserve.
        if self.unmeasured as u64 > self.space.reserve / 4 {
            self.measure()?;
        }
        for (take, reply) in takes {
            let taken = self.engine.take(take);
            answer(reply, taken)?;
        }
        Ok(())
    }

    /// All of them in one transaction, or none.
    fn write(&mut self, writes: Vec<Command>) -> rusqlite::Result<()> {
        if writes.is_empty() {
            return Ok(());
        }
        self.shared.commits.writes.number(writes.len() as u64);
        let mut answering: Vec<Answering> = Vec::with_capacity(writes.len());
        let mut writes = writes.into_iter();
        let done = self.transaction(|writer| {
            writes.by_ref().try_for_each(|write| writer.execute(write, &mut answering))
        });
        let (result, fatal) = match done {
            Ok(()) => (Ok(()), None),
            Err(error) => match transient(&error) {
                Some(known) => (Err(known), None),
                None => (Err(self.shared.fail(&error.to_string())), Some(error)),
            },
        };
        answering.into_iter().for_each(|answer| answer(result.clone()));
        if let Err(error) = result {
            writes.for_each(|write| refuse(write, &error));
        }
        fatal.map_or(Ok(()), Err)
    }

    fn transaction(
        &mut self,
        work: impl FnOnce(&mut Self) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        self.engine.begin()?;
        let done = work(self).and_then(|()| self.commit());
        if let Err(error) = done {
            if transient(&error) == Some(StoreError::Full) {
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

    fn execute(&mut self, write: Command, done: &mut Vec<Answering>) -> rusqlite::Result<()> {
        fn later<T: 'static>(reply: ReplyTo<T>, value: T) -> Answering {
            Box::new(move |result| drop(reply.send(result.map(|()| value))))
        }
        // The answer of a command that fails is given too: with its error.
        fn lost<T>(reply: ReplyTo<T>) -> Answering
        where
            T: 'static,
        {
            Box::new(move |result| {
                let _ = reply.send(Err(result.err().unwrap_or(StoreError::Busy)));
            })
        }
        macro_rules! run {
            ($reply:ident, $result:expr) => {
                match $result {
                    Ok(value) => done.push(later($reply, value)),
                    Err(error) => {
                        done.push(lost($reply));
                        return Err(error);
                    }
                }
            };
        }
        match write {
            Command::Accept(event, reply) => run!(reply, self.engine.accept(&event)),
            Command::Settle(lease, what, reply) => {
                run!(reply, self.engine.settle(lease, &what.0, what.1));
            }
            Command::GiveUp(app, reason, now, reply) => {
                run!(reply, self.engine.give_up(app, reason, now));
            }
            Command::RecordOwners(owners, now, reply) => {
                run!(reply, owners::record(self.engine.db(), &owners, now));
            }
            Command::Replay(id, now, reply) => run!(reply, self.engine.replay(id, now)),
            Command::ReplayAll(all, reply) => run!(reply, self.engine.replay_all(&all)),
            Command::Take(take, reply) => answer(reply, self.engine.take(take))?,
            Command::Tallies(reply) => answer(reply, self.engine.tallies())?,
        }
        Ok(())
    }

    /// Measures, forgets what is old, and says how long there is nothing to do.
    fn keep_house(&mut self) -> rusqlite::Result<Duration> {
        self.measure()?;
        self.save_tallies()?;
        let now = (self.clock)();
        // What has ended goes before its time when room is wanted.
        let until = if self.room == Room::Enough { now - self.retention } else { Moment::NEVER };
        if self.forget(until, now)? {
            return Ok(Duration::ZERO);
        }
        if self.room != Room::Enough {
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
        pruned.or_else(|error| transient(&error).map(drop).ok_or(error))
    }

    /// Numbers for people: what cannot be saved now is saved later.
    fn save_tallies(&mut self) -> rusqlite::Result<()> {
        if !self.engine.has_unsaved() {
            return Ok(());
        }
        let saved = self.transaction(|writer| writer.engine.save_tallies());
        saved.or_else(|error| transient(&error).map(drop).ok_or(error))
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
            Err(error) if transient(&error).is_some() => Ok(false),
            Err(error) => Err(error),
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

/// What can be tried again; everything else is the end of the store.
fn transient(error: &rusqlite::Error) -> Option<StoreError> {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Some(StoreError::Full),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Some(StoreError::Busy),
        _ => None,
    }
}

fn weight(write: &Command) -> usize {
    match write {
        Command::Accept(event, _) => event.content.body.len(),
        _ => 0,
    }
}

fn answer<T>(reply: ReplyTo<T>, result: rusqlite::Result<T>) -> rusqlite::Result<()> {
    match result {
        Ok(value) => {
            let _ = reply.send(Ok(value));
            Ok(())
        }
        Err(error) => match transient(&error) {
            Some(known) => {
                let _ = reply.send(Err(known));
                Ok(())
            }
            None => {
                let _ = reply.send(Err(StoreError::Failed(error.to_string().into())));
                Err(error)
            }
        },
    }
}

fn refuse(command: Command, error: &StoreError) {
    fn no<T>(reply: ReplyTo<T>, error: &StoreError) {
        let _ = reply.send(Err(error.clone()));
    }
    match command {
        Command::Accept(_, reply) => no(reply, error),
        Command::Take(_, reply) => no(reply, error),
        Command::Settle(_, _, reply) => no(reply, error),
        Command::GiveUp(_, _, _, reply) => no(reply, error),
        Command::RecordOwners(_, _, reply) => no(reply, error),
        Command::Replay(_, _, reply) => no(reply, error),
        Command::ReplayAll(_, reply) => no(reply, error),
        Command::Tallies(reply) => no(reply, error),
    }
}
