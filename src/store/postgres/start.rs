//! Opens a store: checks the server, migrates the schema, and starts the thread.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep};

use super::context::Context;
use super::durability::{DurabilitySettings, NotDurable};
use super::failure::DatabaseFailure;
use super::link::{Connection, DatabaseConnector, Link};
use super::schema::{self, SchemaError};
use super::session::{Session, SessionLink};
use super::shared::PostgresState;
use super::workers::{AcceptRequest, Job, SettleRequest, SharedQueue, Worker};
use super::{
    Closed, Options, Postgres, Queues, accept, history, load, maintenance, operations, settle, take,
};
use crate::backoff;
use crate::moment::Moment;
use crate::store::{Health, Ids, ids};

/// Capacity of each queue.
const QUEUE: usize = 8192;

/// Number of connections that store events, and of those that record attempts.
const ACCEPT_WORKERS: usize = 2;
const SETTLE_WORKERS: usize = 2;

/// Number of connections that lease deliveries: one of them may wait for another replica.
const TAKE_WORKERS: usize = 2;

/// Why opening a store failed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The server may lose what it has acknowledged.
    #[error(transparent)]
    NotDurable(#[from] NotDurable),
    /// The server has no synchronous standby, and one is required.
    #[error("the server has no synchronous standby (synchronous_standby_names is empty)")]
    NoStandby,
    /// The schema was made by a newer version of the program.
    #[error(
        "its tables were made by a newer version of the program (schema {found}, this one \
         supports {known}): start that version"
    )]
    Newer {
        /// The version of the schema.
        found: i32,
        /// The latest version supported by this program.
        known: i32,
    },
    /// The schema has tables of another program, or the user has no schema.
    #[error("its schema has tables of another program, or search_path names no schema")]
    Foreign,
    /// The database does not serve.
    #[error("{0}")]
    Unavailable(Arc<str>),
    /// The certificates cannot be read, or the thread not started.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<DatabaseFailure> for OpenError {
    fn from(failure: DatabaseFailure) -> Self {
        match failure {
            DatabaseFailure::Unavailable(why) | DatabaseFailure::Isolated(why) => {
                Self::Unavailable(why)
            }
            DatabaseFailure::Conflict => Self::Unavailable("the database is busy".into()),
        }
    }
}

impl From<SchemaError> for OpenError {
    fn from(error: SchemaError) -> Self {
        match error {
            SchemaError::Newer { found, known } => Self::Newer { found, known },
            SchemaError::Foreign => Self::Foreign,
            SchemaError::DatabaseFailure(failure) => failure.into(),
        }
    }
}

/// The other ends of [`Queues`].
struct Receivers {
    accepts: mpsc::Receiver<AcceptRequest>,
    settles: mpsc::Receiver<SettleRequest>,
    takes: mpsc::Receiver<Job>,
    writes: mpsc::Receiver<Job>,
    reads: mpsc::Receiver<Job>,
    bodies: mpsc::Receiver<Job>,
}

fn queues() -> (Queues, Receivers) {
    let (accept_sender, accepts) = mpsc::channel(QUEUE);
    let (settle_sender, settles) = mpsc::channel(QUEUE);
    let [take, write, read, body] = [(); 4].map(|()| mpsc::channel(QUEUE));
    let queues = Queues {
        accepts: accept_sender,
        settles: settle_sender,
        takes: take.0,
        writes: write.0,
        reads: read.0,
        bodies: body.0,
    };
    let (takes, writes, reads, bodies) = (take.1, write.1, read.1, body.1);
    (queues, Receivers { accepts, settles, takes, writes, reads, bodies })
}

/// Opens a store. Blocks until it is open.
pub fn open(
    options: Options,
    clock: Box<dyn Fn() -> Moment + Send>,
) -> Result<Postgres, OpenError> {
    let max_bytes = options.max_bytes;
    let connector = DatabaseConnector::new(
        options.url.clone(),
        options.password.clone(),
        options.requires_standby,
    )?;
    let (shared, ids) = (Arc::new(PostgresState::default()), Arc::new(Ids::default()));
    let (queues, receivers) = queues();
    let (opened_sender, opened) = channel();
    let (closed_sender, closed) = channel();
    let (thread_shared, thread_ids) = (shared.clone(), ids.clone());
    std::thread::Builder::new().name("store".into()).spawn(move || {
        let context = Context::new(thread_shared, thread_ids, clock, options.max_bytes);
        run(options, connector, Rc::new(context), receivers, &opened_sender);
        drop(closed_sender);
    })?;
    let stopped = |_| io::Error::other("the store thread has stopped");
    opened.recv().map_err(stopped)??;
    Ok(Postgres { queues, _closed: Closed(Mutex::new(closed)), shared, ids, max_bytes })
}

/// The thread.
fn run(
    options: Options,
    connector: DatabaseConnector,
    context: Rc<Context>,
    receivers: Receivers,
    opened: &Sender<Result<(), OpenError>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = opened.send(Err(error.into()));
            return;
        }
    };
    LocalSet::new().block_on(&runtime, async {
        let link = match start(&options, &connector, &context).await {
            Ok(link) => link,
            Err(error) => {
                let _ = opened.send(Err(error));
                return;
            }
        };
        // Fails if the caller is gone: then the queues are closed, too.
        let _ = opened.send(Ok(()));
        serve(options, connector, context, receivers, link).await;
    });
}

/// Checks the server, migrates the schema and begins the session. Waits for a database that is
/// unavailable.
async fn start(
    options: &Options,
    connector: &DatabaseConnector,
    context: &Context,
) -> Result<SessionLink, OpenError> {
    let deadline = Instant::now() + options.patience;
    let mut failures = 0;
    loop {
        let error = match try_start(options, connector, context).await {
            Err(OpenError::Unavailable(why)) if Instant::now() < deadline => why,
            done => return done,
        };
        failures += 1;
        if failures == 1 {
            tracing::warn!(%error, "waiting for the database");
        }
        let (first, most) =
            (std::time::Duration::from_millis(100), std::time::Duration::from_secs(2));
        sleep(backoff::delay(first, failures, most)).await;
    }
}

async fn try_start(
    options: &Options,
    connector: &DatabaseConnector,
    context: &Context,
) -> Result<SessionLink, OpenError> {
    let mut client = connector.connect(Rc::new(Cell::new(false)), None).await?;
    let durability = DurabilitySettings::read(&client).await?;
    if let Some(refused) = durability.refused() {
        return Err(refused.into());
    }
    if !durability.has_standby && options.requires_standby {
        return Err(OpenError::NoStandby);
    }
    durability.check(options.requires_standby)?;
    schema::migrate(&mut client).await?;
    drop(client);
    let session = SessionLink::open(connector).await?;
    if let Some(last) = session.last_id().await? {
        context.ids.follow(ids::key(last));
    }
    context.session.set(session.begin().await?);
    let link = Link::open(connector, load::STATEMENTS).await?;
    let load = load::read(&link, options.max_bytes).await?;
    // The first `take` of each app finds the actual due time.
    let due: Vec<_> = load.undelivered.iter().map(|(app, _)| (*app, Moment(0))).collect();
    context.set_load(load);
    context.shared.due_apps.notify(due);
    if !durability.has_standby {
        tracing::warn!(
            "the database has no synchronous standby: if its disk is lost, so are accepted events"
        );
    }
    Ok(session)
}

/// Runs the tasks until the queues are closed, and ends the session.
async fn serve(
    options: Options,
    connector: DatabaseConnector,
    context: Rc<Context>,
    receivers: Receivers,
    link: SessionLink,
) {
    let session = Session::new(context.clone(), connector.clone(), link);
    let session = tokio::task::spawn_local(session.run());
    let worker = |known| Worker::new(Connection::new(connector.clone(), known), context.clone());
    let Receivers { accepts, settles, takes, writes, reads, bodies } = receivers;
    let mut workers = JoinSet::new();
    let accepts = shared_queue(accepts);
    for _ in 0..ACCEPT_WORKERS {
        workers.spawn_local(worker(accept::STATEMENTS).run_accepts(accepts.clone()));
    }
    let settles = shared_queue(settles);
    for _ in 0..SETTLE_WORKERS {
        workers.spawn_local(worker(settle::STATEMENTS).run_settles(settles.clone()));
    }
    for (count, known, jobs) in [
        (TAKE_WORKERS, take::STATEMENTS, takes),
        (1, operations::STATEMENTS, writes),
        (1, history::STATEMENTS, reads),
        (1, history::STATEMENTS, bodies),
    ] {
        let jobs = shared_queue(jobs);
        for _ in 0..count {
            workers.spawn_local(worker(known).run_jobs(jobs.clone()));
        }
    }
    let maintaining = worker(maintenance::STATEMENTS).run_maintenance(options.retention);
    let maintaining = tokio::task::spawn_local(maintaining);
    while let Some(ended) = workers.join_next().await {
        if ended.is_err() {
            context.shared.set_health(Health::Failed("a task of the store panicked".into()));
        }
    }
    maintaining.abort();
    context.closing.notify_one();
    let _ = session.await;
}

fn shared_queue<T>(queue: mpsc::Receiver<T>) -> SharedQueue<T> {
    Rc::new(tokio::sync::Mutex::new(queue))
}
