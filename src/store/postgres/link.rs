//! A connection to the database, with its prepared statements, and the connection of a task, which
//! is made again when it is lost.

use std::cell::Cell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio::time::{Instant, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Notification, Row, Statement};

use super::config::{DatabaseUrl, Password};
use super::durability::DurabilitySettings;
use super::failure::DatabaseFailure;
use super::statements::{BEGIN, COMMIT};
use super::tls::MakeTls;
use crate::backoff;

/// How long a transaction may take. A server that was cut off says nothing.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(20);

/// Delays between attempts to connect.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const MAX_DELAY: Duration = Duration::from_secs(2);

/// Settings of each connection. A statement, a lock and an idle transaction have a limit, so that a
/// replica that is frozen holds up the others for seconds only.
///
/// Every statement has an index for each table. The planner is kept from reading whole tables,
/// which is faster while they are small: it would go on with such a plan while they grow.
const SETUP: &str = "SET statement_timeout = '10s'; SET lock_timeout = '5s';
    SET idle_in_transaction_session_timeout = '5s'; SET client_min_messages = 'warning';
    SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off;
    SET enable_mergejoin = off; SET jit = off;
    SET default_transaction_isolation = 'read committed'";

/// What all connections of a store have in common.
#[derive(Clone)]
pub struct DatabaseConnector {
    url: DatabaseUrl,
    password: Password,
    tls: MakeTls,
    requires_standby: bool,
}

impl DatabaseConnector {
    /// Connects to this database.
    ///
    /// # Errors
    /// If the file with the trusted certificates cannot be read.
    pub fn new(
        url: DatabaseUrl,
        password: Password,
        requires_standby: bool,
    ) -> std::io::Result<Self> {
        let tls = MakeTls::new(&url)?;
        Ok(Self { url, password, tls, requires_standby })
    }

    /// Makes a connection to a server that accepts writes and keeps them. Notifications go to
    /// `notified`.
    pub async fn client(
        &self,
        warned: Rc<Cell<bool>>,
        notified: Option<mpsc::UnboundedSender<Notification>>,
    ) -> Result<Client, DatabaseFailure> {
        let client = self.connect(warned, notified).await?;
        DurabilitySettings::read(&client).await?.check(self.requires_standby)?;
        Ok(client)
    }

    /// Makes a connection to any server.
    pub async fn connect(
        &self,
        warned: Rc<Cell<bool>>,
        notified: Option<mpsc::UnboundedSender<Notification>>,
    ) -> Result<Client, DatabaseFailure> {
        let password = self.password.read().map_err(DatabaseFailure::unavailable)?;
        let connecting = self.url.config(password.as_deref());
        let connecting = connecting.connect(self.tls.clone());
        let connected = timeout(TRANSACTION_TIMEOUT, connecting).await;
        let (client, mut connection) = connected.map_err(|_| no_answer())??;
        spawn_local(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await
            {
                match message {
                    // `ROLLBACK` after a transaction that has already ended.
                    AsyncMessage::Notice(notice)
                        if *notice.code() == SqlState::NO_ACTIVE_SQL_TRANSACTION => {}
                    AsyncMessage::Notice(notice) if notice.severity() == "WARNING" => {
                        tracing::warn!(message = notice.message(), "a warning of the database");
                        warned.set(true);
                    }
                    AsyncMessage::Notification(notification) => {
                        // Fails when the store ends.
                        let _ = notified.as_ref().map(|notified| notified.send(notification));
                    }
                    _ => {}
                }
            }
        });
        client.batch_execute(SETUP).await?;
        Ok(client)
    }
}

fn no_answer() -> DatabaseFailure {
    DatabaseFailure::unavailable("the database does not answer")
}

/// The parameters of a statement.
pub type StatementValues<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A statement of a [`Link::pipeline`], with its parameters.
pub type PipelineStep<'a> = (&'static str, StatementValues<'a>);

/// A connection.
pub struct Link {
    client: Client,
    statements: HashMap<&'static str, Statement>,
    /// Whether the database has warned since a transaction began.
    warned: Rc<Cell<bool>>,
}

impl Link {
    /// Connects, and prepares the statements that it may run.
    pub async fn open(
        connector: &DatabaseConnector,
        known: &[&'static str],
    ) -> Result<Self, DatabaseFailure> {
        let warned = Rc::new(Cell::new(false));
        let client = connector.client(warned.clone(), None).await?;
        let all = known.iter().chain(&[BEGIN, COMMIT]).copied();
        let preparing =
            all.map(async |sql| Ok::<_, DatabaseFailure>((sql, client.prepare(sql).await?)));
        let statements = try_join_all(preparing).await?.into_iter().collect();
        Ok(Self { client, statements, warned })
    }

    /// The connection, for statements that are not prepared.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Runs a prepared statement.
    pub async fn query(
        &self,
        sql: &'static str,
        values: StatementValues<'_>,
    ) -> Result<Vec<Row>, DatabaseFailure> {
        Ok(self.client.query(self.statement(sql)?, values).await?)
    }

    /// Runs a prepared statement that gives at most one row.
    pub async fn query_opt(
        &self,
        sql: &'static str,
        values: StatementValues<'_>,
    ) -> Result<Option<Row>, DatabaseFailure> {
        Ok(self.query(sql, values).await?.into_iter().next())
    }

    /// Sends all statements before it reads the first answer. They run in this order.
    pub async fn pipeline(
        &self,
        steps: &[PipelineStep<'_>],
    ) -> Result<Vec<Vec<Row>>, DatabaseFailure> {
        let mut running: Vec<Pin<Box<dyn Future<Output = _> + '_>>> = Vec::new();
        for (sql, values) in steps {
            let statement = self.statement(sql)?;
            running.push(Box::pin(self.client.query(statement, values)));
        }
        let mut answers: Vec<Option<Vec<Row>>> = steps.iter().map(|_| None).collect();
        // A query is sent when its future is polled for the first time.
        let answered = poll_fn(|context| {
            let mut is_pending = false;
            for (query, answer) in running.iter_mut().zip(&mut answers) {
                if answer.is_some() {
                    continue;
                }
                match query.as_mut().poll(context) {
                    Poll::Ready(Ok(rows)) => *answer = Some(rows),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => is_pending = true,
                }
            }
            if is_pending { Poll::Pending } else { Poll::Ready(Ok(())) }
        });
        answered.await?;
        Ok(answers.into_iter().map(Option::unwrap_or_default).collect())
    }

    /// Runs a transaction, which begins and commits itself. Rolls it back if it fails.
    ///
    /// The database warns if it could not wait for the synchronous standby: then the outcome is
    /// unknown, as after a lost connection.
    pub async fn transaction<T>(
        &mut self,
        run: impl AsyncFnOnce(&Self) -> Result<T, DatabaseFailure>,
    ) -> Result<T, DatabaseFailure> {
        self.warned.set(false);
        let done =
            timeout(TRANSACTION_TIMEOUT, run(self)).await.unwrap_or_else(|_| Err(no_answer()));
        if matches!(done, Err(DatabaseFailure::Conflict | DatabaseFailure::Isolated(_))) {
            self.client.batch_execute("ROLLBACK").await?;
        } else if self.warned.get() {
            return Err(DatabaseFailure::unavailable("the database warned during a commit"));
        }
        done
    }

    /// Whether the connection is lost.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    fn statement(&self, sql: &str) -> Result<&Statement, DatabaseFailure> {
        let missing = || DatabaseFailure::Isolated("a statement is not prepared".into());
        self.statements.get(sql).ok_or_else(missing)
    }
}

/// The connection of a task. It is made when it is needed, and again after it was lost; not before
/// a growing delay has passed.
pub struct Connection {
    connector: DatabaseConnector,
    known: &'static [&'static str],
    link: Option<Link>,
    failures: u32,
    not_before: Instant,
    why: Arc<str>,
}

impl Connection {
    /// A connection that can run these statements.
    pub fn new(connector: DatabaseConnector, known: &'static [&'static str]) -> Self {
        let why = "not connected".into();
        Self { connector, known, link: None, failures: 0, not_before: Instant::now(), why }
    }

    /// Runs an operation over the connection. Repeats it once after a conflict.
    pub async fn run<T>(
        &mut self,
        mut operation: impl AsyncFnMut(&mut Link) -> Result<T, DatabaseFailure>,
    ) -> Result<T, DatabaseFailure> {
        let link = self.link().await?;
        let mut done = operation(link).await;
        if matches!(done, Err(DatabaseFailure::Conflict)) {
            done = operation(link).await;
        }
        if let Err(DatabaseFailure::Unavailable(why)) = &done {
            self.link = None;
            self.why = why.clone();
        }
        done
    }

    async fn link(&mut self) -> Result<&mut Link, DatabaseFailure> {
        if self.link.as_ref().is_some_and(Link::is_closed) {
            self.link = None;
        }
        if self.link.is_none() {
            if Instant::now() < self.not_before {
                return Err(DatabaseFailure::Unavailable(self.why.clone()));
            }
            match Link::open(&self.connector, self.known).await {
                Ok(link) => {
                    self.failures = 0;
                    self.link = Some(link);
                }
                Err(failure) => return Err(self.fail(failure)),
            }
        }
        self.link.as_mut().ok_or_else(no_answer)
    }

    fn fail(&mut self, failure: DatabaseFailure) -> DatabaseFailure {
        self.failures += 1;
        self.not_before = Instant::now() + backoff::delay(FIRST_DELAY, self.failures, MAX_DELAY);
        // Nothing was written: a connection that cannot be set up is that of a server that is away.
        self.why = match failure {
            DatabaseFailure::Unavailable(why) | DatabaseFailure::Isolated(why) => why,
            DatabaseFailure::Conflict => "the database is busy".into(),
        };
        DatabaseFailure::Unavailable(self.why.clone())
    }
}
