//! The embedded store: one SQLite file in a folder, written by one thread.
//!
//! The file uses WAL with `synchronous=FULL`: a commit returns after the log is synced, so
//! acknowledged writes survive a power failure. A lock on the folder keeps a second process from
//! opening it.

mod ages;
mod codec;
mod command;
mod engine;
mod failure;
mod history;
mod leases;
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
mod undelivered;
mod webhooks;
mod writer;

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::RwLock;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use super::{
    Accepted, Attempted, DeadReason, Detail, DueApps, Filter, Health, History, HistoryScope, Ids,
    Lease, NewEvent, Next, Owner, Queue, Replayed, Settled, StoreError, StoreFuture, StoreMetrics,
    StoredWebhook, Summary, Take, Taken, Tally, WebhookExists,
};
use crate::moment::Moment;
use crate::routes::AppId;
use crate::store::metrics::Commits;
use command::{Command, CommandKind, OperationResult, operation};
use engine::Engine;
use reader::Reader;
use space::Space;
use writer::{SharedState, StoreStats, Writer};

/// Name of the database file.
const FILE: &str = "queue.sqlite3";

/// Capacity of the writer's queue.
const COMMAND_QUEUE: usize = 8192;

/// Page cache of a connection, in KiB.
const WRITER_CACHE: i64 = 16 * 1024;
const READER_CACHE: i64 = 2 * 1024;

/// How long a connection waits for the lock of another process, such as a manual backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Settings of a store.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data folder. Created if it is missing.
    pub folder: PathBuf,
    /// How long succeeded and dead deliveries are kept.
    pub retention: Duration,
    /// Maximum used bytes of the file. The write-ahead log needs up to 64 MiB in addition.
    pub max_bytes: u64,
}

/// Why opening a store failed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder or a file in it cannot be created or opened.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Another process has locked the folder.
    #[error("another process uses it")]
    InUse,
    /// The file was written by a newer version of the program.
    #[error(
        "it was written by a newer version of the program (schema {found}, this one \
         supports {known}): start that version"
    )]
    Newer {
        /// Schema version of the file.
        found: i32,
        /// Latest schema version supported by this program.
        known: i32,
    },
    /// The file is not a database of this program.
    #[error("{FILE} is not a queue of this program")]
    Foreign,
    /// The file cannot be read or written.
    #[error("{FILE}: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// An open store. Its threads stop after it is dropped.
#[derive(Debug)]
pub struct Sqlite {
    commands: SyncSender<Command>,
    /// Serves lists and details to users.
    history: Reader,
    /// Serves bodies to the dispatcher, on a separate thread so that user queries do not delay
    /// deliveries.
    bodies: Reader,
    shared: Arc<SharedState>,
    ids: Arc<Ids>,
    max_bytes: u64,
    _lock: Arc<File>,
}

impl Sqlite {
    /// Opens the store in a folder, and creates it if it is missing. `clock` returns the current
    /// time.
    ///
    /// # Errors
    /// See [`OpenError`]. A file of another program or of a newer version is not modified.
    pub fn open(
        options: &Options,
        clock: impl Fn() -> Moment + Send + 'static,
    ) -> Result<Self, OpenError> {
        // Bodies and headers of triggers may be confidential: only the owner may read the folder.
        DirBuilder::new().recursive(true).mode(0o700).create(&options.folder)?;
        let lock = Arc::new(lock_data_dir(&options.folder)?);
        let file = options.folder.join(FILE);
        let space = Space::new(options.folder.clone(), options.max_bytes);
        let mut connection = open_writer(&file, space.checkpoint_pages())?;
        schema::migrate(&mut connection)?;
        // Syncs the directory entries of the file and of its folder: without them, a power failure
        // could lose the file.
        for folder in options.folder.ancestors().take(2) {
            File::open(folder)?.sync_all()?;
        }
        let ids = Arc::new(Ids::default());
        set_back::adjust(&connection, clock())?;
        let engine = Engine::new(connection, ids.clone(), options.max_bytes)?;
        let shared = Arc::new(SharedState {
            due_apps: Arc::default(),
            commits: Commits::default(),
            health: watch::channel(Health::Serving).0,
            stats: RwLock::new(StoreStats::default()),
        });
        let writer =
            Writer::new(engine, shared.clone(), space, options.retention, Box::new(clock))?;
        let (commands, queue) = sync_channel(COMMAND_QUEUE);
        let writer_lock = lock.clone();
        std::thread::Builder::new().name("store".into()).spawn(move || {
            writer.run(&queue);
            drop(writer_lock);
        })?;
        let history = Reader::start("store-history", open_reader(&file)?, shared.clone())?;
        let bodies = Reader::start("store-bodies", open_reader(&file)?, shared.clone())?;
        let max_bytes = options.max_bytes;
        Ok(Self { commands, history, bodies, shared, ids, max_bytes, _lock: lock })
    }

    fn submit<T: Send + 'static>(
        &self,
        kind: CommandKind,
        run: impl FnMut(&mut Engine) -> OperationResult<T> + Send + 'static,
    ) -> StoreFuture<T> {
        let (reply, answer) = oneshot::channel();
        let command = || Command { kind, operation: operation(run, reply) };
        let send = || self.commands.try_send(command()).map_err(|_| StoreError::Busy);
        let sent = self.shared.check().and_then(|()| send());
        Box::pin(async move {
            sent?;
            let stopped = || Err(StoreError::Failed("the store thread has stopped".into()));
            answer.await.unwrap_or_else(|_| stopped())
        })
    }

    fn write<T: Send + 'static>(
        &self,
        mut run: impl FnMut(&mut Engine) -> rusqlite::Result<T> + Send + 'static,
    ) -> StoreFuture<T> {
        self.submit(CommandKind::Write, move |engine| run(engine).map(Ok))
    }

    fn read<T: Send + 'static>(
        &self,
        mut run: impl FnMut(&mut Engine) -> rusqlite::Result<T> + Send + 'static,
    ) -> StoreFuture<T> {
        self.submit(CommandKind::Read, move |engine| run(engine).map(Ok))
    }
}

impl Queue for Sqlite {
    fn accept(&self, event: NewEvent) -> StoreFuture<Accepted> {
        let bytes = event.content.body.len();
        self.submit(CommandKind::Accept { bytes }, move |engine| engine.accept(&event))
    }

    fn take(&self, take: Take) -> StoreFuture<Taken> {
        self.read(move |engine| engine.take(take))
    }

    fn body(&self, event: Uuid) -> StoreFuture<Option<Bytes>> {
        self.bodies.submit(move |db| history::body(db, event))
    }

    fn settle(&self, lease: Lease, attempted: Attempted, next: Next) -> StoreFuture<Settled> {
        self.write(move |engine| engine.settle(lease, &attempted, next))
    }

    fn give_up(&self, app: AppId, reason: DeadReason, now: Moment) -> StoreFuture<usize> {
        self.write(move |engine| engine.give_up(app, reason, now))
    }

    fn owners(&self) -> StoreFuture<Vec<Owner>> {
        self.history.submit(owners::read)
    }

    fn record_owners(&self, owners: Vec<Owner>, now: Moment) -> StoreFuture<()> {
        self.write(move |engine| owners::record(engine.db(), &owners, now))
    }

    fn prune_webhooks(&self, exists: WebhookExists) -> StoreFuture<bool> {
        self.write(move |engine| engine.prune_webhooks(&exists))
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

impl History for Sqlite {
    /// The file belongs to one process.
    fn scope(&self) -> HistoryScope {
        HistoryScope::ThisReplica
    }

    fn list(
        &self,
        filter: Filter,
        cursor: Option<Uuid>,
        limit: usize,
    ) -> StoreFuture<Vec<Summary>> {
        self.history.submit(move |db| history::list(db, &filter, cursor, limit))
    }

    fn show(&self, id: Uuid) -> StoreFuture<Option<Detail>> {
        self.history.submit(move |db| history::show(db, id))
    }

    fn replay(&self, id: Uuid, now: Moment) -> StoreFuture<Option<Uuid>> {
        self.write(move |engine| engine.replay(id, now))
    }

    fn replay_all(
        &self,
        filter: Filter,
        cursor: Option<Uuid>,
        limit: usize,
        now: Moment,
    ) -> StoreFuture<Replayed> {
        self.write(move |engine| engine.replay_all(&filter, cursor, limit, now))
    }

    fn tallies(&self) -> StoreFuture<Vec<(Arc<StoredWebhook>, Tally)>> {
        self.read(Engine::tallies)
    }

    fn metrics(&self) -> StoreMetrics {
        let stats = self.shared.stats.read();
        let undelivered = stats.undelivered.iter().map(|(app, count)| (*app, *count as u64));
        StoreMetrics {
            bytes: stats.usage.used,
            max_bytes: self.max_bytes,
            undelivered: undelivered.collect(),
            oldest: stats.oldest.clone(),
            commit_times: self.shared.commits.took.snapshot(),
            commit_writes: self.shared.commits.writes.snapshot(),
        }
    }
}

/// Locks the data folder. The operating system releases the lock when the process exits, even after
/// a crash.
fn lock_data_dir(folder: &Path) -> Result<File, OpenError> {
    let file =
        File::options().create(true).truncate(false).write(true).open(folder.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

fn open_writer(file: &Path, checkpoint_pages: u64) -> Result<Connection, OpenError> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Reads before it writes, so that a file that is not a database is rejected unmodified.
    connection.query_row("SELECT count(*) FROM sqlite_schema", (), |_| Ok(()))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", checkpoint_pages as i64)?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

fn open_reader(file: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE)?;
    Ok(connection)
}
