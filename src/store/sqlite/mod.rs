//! The embedded store: one SQLite file in a folder, written by one thread.
//!
//! WAL with `synchronous=FULL`: a commit returns when the log is synced, so what was answered is there
//! after a loss of power. The folder is locked: a second process does not open it.

mod ages;
mod codec;
mod engine;
mod failure;
mod history;
mod job;
mod leases;
mod open;
mod owners;
mod pruning;
mod quota;
mod reader;
mod retention;
mod schema;
mod set_back;
mod space;
mod stored_bytes;
mod tallies;
mod webhooks;
mod writer;

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use super::{
    Accepted, Answer, Attempted, Detail, Figures, Filter, Health, Ids, Lease, NewEvent, News, Next,
    Owner, Reason, Replayed, Settled, Store, StoreError, StoredWebhook, Summary, Take, Taken,
    Tally, WebhookExists,
};
use crate::moment::Moment;
use crate::routes::AppId;
use engine::Engine;
use job::{Command, Done, Kind, job};
use reader::Reader;
use space::Space;
use writer::{Commits, Held, Shared, Writer};

/// The file.
const FILE: &str = "queue.sqlite3";

/// How many commands may wait for the writer.
const WAITING: usize = 8192;

/// Kibibytes of pages that a connection keeps in memory.
const WRITER_CACHE: i64 = 16 * 1024;
const READER_CACHE: i64 = 2 * 1024;

/// How long a connection waits for somebody else's lock: a backup by hand, say.
const BUSY: Duration = Duration::from_secs(5);

/// How a store is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of its files; made when it is not there.
    pub folder: PathBuf,
    /// For how long what has ended is kept.
    pub retention: Duration,
    /// The most bytes of the file that may be in use; its log comes on top, up to 64 MiB.
    pub max_bytes: u64,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder or a file in it cannot be made or opened.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Another process has it open.
    #[error("another process uses it")]
    InUse,
    /// It was written by a later version of the program.
    #[error(
        "it was written by a newer version of the program (schema {found}, this one knows {known}): start that version"
    )]
    Newer {
        /// The version of the file.
        found: i32,
        /// The latest version that is known.
        known: i32,
    },
    /// It is a database of something else.
    #[error("{FILE} is not a queue of this program")]
    Foreign,
    /// It cannot be read or written.
    #[error("{FILE}: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// An open store. Its threads end when it is dropped.
#[derive(Debug)]
pub struct Sqlite {
    commands: SyncSender<Command>,
    /// For people.
    history: Reader,
    /// For the bodies of calls, which do not wait for people.
    bodies: Reader,
    shared: Arc<Shared>,
    ids: Arc<Ids>,
    max_bytes: u64,
    _lock: Arc<File>,
}

impl Sqlite {
    /// Opens the store of a folder, or makes a new one.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing is changed in a file that is not ours or newer than we are.
    pub fn open(options: &Options, clock: fn() -> Moment) -> Result<Self, OpenError> {
        // What strangers sent is nobody else's to read.
        DirBuilder::new().recursive(true).mode(0o700).create(&options.folder)?;
        let lock = Arc::new(lock(&options.folder)?);
        let file = options.folder.join(FILE);
        let space = Space::new(options.folder.clone(), options.max_bytes);
        let mut connection = writing(&file, space.checkpoint_pages())?;
        schema::migrate(&mut connection)?;
        // The names of the file and of its folder are as much of a promise as what is in it.
        for folder in options.folder.ancestors().take(2) {
            File::open(folder)?.sync_all()?;
        }
        let ids = Arc::new(Ids::default());
        set_back::adjust(&connection, clock())?;
        let engine = Engine::new(connection, ids.clone(), options.max_bytes)?;
        let shared = Arc::new(Shared {
            news: Arc::default(),
            commits: Commits::default(),
            health: watch::channel(Health::Serving).0,
            figures: RwLock::new(Held::default()),
        });
        let writer = Writer::new(engine, shared.clone(), space, options.retention, clock)?;
        let (commands, waiting) = sync_channel(WAITING);
        let held = lock.clone();
        std::thread::Builder::new().name("store".into()).spawn(move || {
            writer.run(&waiting);
            drop(held);
        })?;
        let history = Reader::start("store-history", reading(&file)?, shared.clone())?;
        let bodies = Reader::start("store-bodies", reading(&file)?, shared.clone())?;
        let max_bytes = options.max_bytes;
        Ok(Self { commands, history, bodies, shared, ids, max_bytes, _lock: lock })
    }

    fn ask<T: Send + 'static>(
        &self,
        kind: Kind,
        run: impl FnMut(&mut Engine) -> Done<T> + Send + 'static,
    ) -> Answer<T> {
        let (reply, answer) = oneshot::channel();
        let command = || Command { kind, job: job(run, reply) };
        let send = || self.commands.try_send(command()).map_err(|_| StoreError::Busy);
        let sent = self.shared.check().and_then(|()| send());
        Box::pin(async move {
            sent?;
            let ended = || Err(StoreError::Failed("its thread has ended".into()));
            answer.await.unwrap_or_else(|_| ended())
        })
    }

    fn write<T: Send + 'static>(
        &self,
        mut run: impl FnMut(&mut Engine) -> rusqlite::Result<T> + Send + 'static,
    ) -> Answer<T> {
        self.ask(Kind::Write, move |engine| run(engine).map(Ok))
    }

    fn read<T: Send + 'static>(
        &self,
        mut run: impl FnMut(&mut Engine) -> rusqlite::Result<T> + Send + 'static,
    ) -> Answer<T> {
        self.ask(Kind::Read, move |engine| run(engine).map(Ok))
    }
}

impl Store for Sqlite {
    fn accept(&self, event: NewEvent) -> Answer<Accepted> {
        let bytes = event.content.body.len();
        self.ask(Kind::Accept { bytes }, move |engine| engine.accept(&event))
    }

    fn take(&self, take: Take) -> Answer<Taken> {
        self.read(move |engine| engine.take(take))
    }

    fn body(&self, event: Uuid) -> Answer<Option<Bytes>> {
        self.bodies.ask(move |db| history::body(db, event))
    }

    fn settle(&self, lease: Lease, attempted: Attempted, next: Next) -> Answer<Settled> {
        self.write(move |engine| engine.settle(lease, &attempted, next))
    }

    fn give_up(&self, app: AppId, reason: Reason, now: Moment) -> Answer<usize> {
        self.write(move |engine| engine.give_up(app, reason, now))
    }

    fn owners(&self) -> Answer<Vec<Owner>> {
        self.history.ask(owners::read)
    }

    fn record_owners(&self, owners: Vec<Owner>, now: Moment) -> Answer<()> {
        self.write(move |engine| owners::record(engine.db(), &owners, now))
    }

    fn prune_webhooks(&self, exists: WebhookExists) -> Answer<bool> {
        self.write(move |engine| engine.prune_webhooks(&exists))
    }

    fn news(&self) -> Arc<News> {
        self.shared.news.clone()
    }

    fn list(&self, filter: Filter, cursor: Option<Uuid>, limit: usize) -> Answer<Vec<Summary>> {
        self.history.ask(move |db| history::list(db, &filter, cursor, limit))
    }

    fn show(&self, id: Uuid) -> Answer<Option<Detail>> {
        self.history.ask(move |db| history::show(db, id))
    }

    fn replay(&self, id: Uuid, now: Moment) -> Answer<Option<Uuid>> {
        self.write(move |engine| engine.replay(id, now))
    }

    fn replay_all(
        &self,
        filter: Filter,
        cursor: Option<Uuid>,
        limit: usize,
        now: Moment,
    ) -> Answer<Replayed> {
        self.write(move |engine| engine.replay_all(&filter, cursor, limit, now))
    }

    fn figures(&self) -> Figures {
        let held = self.shared.figures.read().unwrap_or_else(PoisonError::into_inner);
        let undelivered = held.undelivered.iter().map(|(app, count)| (*app, *count as u64));
        Figures {
            bytes: held.usage.used,
            max_bytes: self.max_bytes,
            undelivered: undelivered.collect(),
            oldest: held.oldest.clone(),
            commit_times: self.shared.commits.took.snapshot(),
            commit_writes: self.shared.commits.writes.snapshot(),
        }
    }

    fn tallies(&self) -> Answer<Vec<(Arc<StoredWebhook>, Tally)>> {
        self.read(Engine::tallies)
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.shared.health.subscribe()
    }

    fn ids(&self) -> &Ids {
        &self.ids
    }
}

/// Holds the folder until the process ends, however it does.
fn lock(folder: &Path) -> Result<File, OpenError> {
    let file =
        File::options().create(true).truncate(false).write(true).open(folder.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

fn writing(file: &Path, checkpoint_pages: u64) -> Result<Connection, OpenError> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    // A file of somebody else's, or of a later version, is not changed: this is seen first.
    connection.query_row("SELECT count(*) FROM sqlite_schema", (), |_| Ok(()))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", checkpoint_pages as i64)?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

fn reading(file: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE)?;
    Ok(connection)
}
