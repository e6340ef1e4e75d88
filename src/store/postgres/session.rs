//! The session of a replica: its heartbeat, and the notifications between replicas.
//!
//! A lease is valid while the session of its replica is alive, by the clock of the database. A
//! replica that is killed, frozen or cut off loses its leases 6 s after its last heartbeat.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_postgres::{Client, Notification};
use uuid::Uuid;

use super::codec;
use super::context::Context;
use super::failure::DatabaseFailure;
use super::link::DatabaseConnector;
use super::statements::{BEGIN_SESSION, DUE_APPS, END_SESSION, HEARTBEAT, NOTIFY};
use crate::backoff;
use crate::moment::Moment;
use crate::routes::AppId;
use crate::store::Health;

/// How often a session is continued. It ends 6 s after the last time (`statements.rs`).
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);

/// How long a heartbeat may take, so that there is time for another one.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(3);

/// How often due apps are looked up while other replicas are alive: one of them may have died, or a
/// notification may be lost.
const POLL_INTERVAL: Duration = Duration::from_secs(3);

/// The same while there is no other replica.
const LONE_POLL_INTERVAL: Duration = Duration::from_secs(60);

/// Shortest time between two notifications of other replicas. Apps are collected in between: a
/// notification locks all commits of the database for a moment.
const NOTIFY_INTERVAL: Duration = Duration::from_millis(50);

/// Maximum apps in a notification, whose text is limited to 8,000 bytes.
const NOTIFIED_APPS: usize = 100;

/// Delays between attempts to connect.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const MAX_DELAY: Duration = Duration::from_secs(2);

/// Heartbeats and notifications acknowledge nothing, so they need not wait for the disk. After a
/// crash of the database, a session may end early.
const SETUP: &str = "SET synchronous_commit = off; SET statement_timeout = '3s'";

/// The connection of a session.
pub struct SessionLink {
    client: Client,
    /// The process of the server that serves the connection: notifications from it are our own.
    process: i32,
    channel: String,
    notified: mpsc::UnboundedReceiver<Notification>,
}

impl SessionLink {
    /// Connects and listens.
    pub async fn open(connector: &DatabaseConnector) -> Result<Self, DatabaseFailure> {
        let (sender, notified) = mpsc::unbounded_channel();
        let client = connector.client(Rc::new(Cell::new(false)), Some(sender)).await?;
        client.batch_execute(SETUP).await?;
        let about = "SELECT pg_backend_pid(), 'webhook_operator_' || current_schema()";
        let about = client.query_one(about, &[]).await?;
        let (process, channel): (i32, String) = (about.get(0), about.get(1));
        client.batch_execute(&format!("LISTEN \"{}\"", channel.replace('"', "\"\""))).await?;
        Ok(Self { client, process, channel, notified })
    }

    /// Begins a session. Returns its key.
    pub async fn begin(&self) -> Result<i64, DatabaseFailure> {
        Ok(self.client.query_one(BEGIN_SESSION, &[]).await?.get(0))
    }

    /// Reads the apps with pending deliveries.
    pub async fn due_apps(&self) -> Result<Vec<(AppId, Moment)>, DatabaseFailure> {
        let rows = self.client.query(DUE_APPS, &[]).await?;
        let due = |row: &tokio_postgres::Row| (codec::app_id(row, 0, 1), codec::moment(row.get(2)));
        Ok(rows.iter().map(due).collect())
    }

    /// The greatest id of a stored delivery.
    pub async fn last_id(&self) -> Result<Option<Uuid>, DatabaseFailure> {
        let sql = "SELECT id FROM delivery ORDER BY id DESC LIMIT 1";
        Ok(self.client.query_opt(sql, &[]).await?.map(|row| row.get(0)))
    }
}

/// Keeps a session alive until the store is closed.
pub struct Session {
    context: Rc<Context>,
    connector: DatabaseConnector,
    link: Option<SessionLink>,
    failures: u32,
    next_heartbeat: Instant,
    next_poll: Instant,
    next_notify: Instant,
    /// Whether other replicas were alive at the last heartbeat and at the last poll.
    has_others: bool,
    had_others: bool,
}

impl Session {
    /// Continues a session that was begun over this connection.
    pub fn new(context: Rc<Context>, connector: DatabaseConnector, link: SessionLink) -> Self {
        let now = Instant::now();
        Self {
            context,
            connector,
            link: Some(link),
            failures: 0,
            next_heartbeat: now,
            next_poll: now + POLL_INTERVAL,
            next_notify: now,
            has_others: false,
            had_others: false,
        }
    }

    /// Runs until the store is closed, and ends the session.
    pub async fn run(mut self) {
        let context = self.context.clone();
        loop {
            let wake = self.next_heartbeat.min(self.next_poll);
            let has_news = context.has_news();
            let notify_at = self.next_notify;
            tokio::select! {
                () = context.closing.notified() => break,
                () = sleep_until(wake) => {}
                () = context.news_arrived.notified(), if !has_news => {}
                () = sleep_until(notify_at), if has_news => {}
                Some(notification) = next_notification(&mut self.link) => self.hear(&notification),
            }
            let done = timeout(HEARTBEAT_TIMEOUT, self.work()).await;
            let silent = || Err(DatabaseFailure::unavailable("the database does not answer"));
            if let Err(failure) = done.unwrap_or_else(|_| silent()) {
                self.fail(failure);
            }
        }
        if let Some(link) = &self.link {
            let session = context.session.get();
            // If it fails, the session expires.
            let end = async { link.client.execute(END_SESSION, &[&session]).await };
            let _ = timeout(Duration::from_secs(1), end).await;
        }
    }

    /// Runs the tasks that are due.
    async fn work(&mut self) -> Result<(), DatabaseFailure> {
        let now = Instant::now();
        if now >= self.next_heartbeat {
            self.beat().await?;
        }
        if now >= self.next_poll {
            self.poll().await?;
        }
        if now >= self.next_notify && self.context.has_news() {
            self.notify().await?;
        }
        Ok(())
    }

    async fn beat(&mut self) -> Result<(), DatabaseFailure> {
        if self.link.is_none() {
            self.link = Some(SessionLink::open(&self.connector).await?);
            // Notifications may have been missed.
            self.next_poll = Instant::now();
        }
        let Some(link) = &self.link else { return Ok(()) };
        let session = self.context.session.get();
        let alive = link.client.query_opt(HEARTBEAT, &[&session]).await?;
        if let Some(row) = alive {
            self.has_others = row.get::<_, i64>(0) > 1;
        } else {
            tracing::warn!("the session with the database has expired, and with it all leases");
            self.context.session.set(link.begin().await?);
            self.next_poll = Instant::now();
        }
        self.failures = 0;
        self.next_heartbeat = Instant::now() + HEARTBEAT_INTERVAL;
        self.context.set_available();
        Ok(())
    }

    async fn poll(&mut self) -> Result<(), DatabaseFailure> {
        let Some(link) = &self.link else { return Ok(()) };
        let due = link.due_apps().await?;
        self.context.shared.due_apps.notify(due);
        self.schedule_poll();
        Ok(())
    }

    fn schedule_poll(&mut self) {
        let is_alone = !self.has_others && !self.had_others;
        self.had_others = self.has_others;
        let interval = if is_alone { LONE_POLL_INTERVAL } else { POLL_INTERVAL };
        self.next_poll = Instant::now() + interval;
    }

    /// Tells other replicas of apps with due deliveries.
    async fn notify(&mut self) -> Result<(), DatabaseFailure> {
        self.next_notify = Instant::now() + NOTIFY_INTERVAL;
        // Without a connection, they are lost: the others find the deliveries by themselves.
        let apps: Vec<AppId> = self.context.take_news();
        if let Some(link) = self.link.as_ref().filter(|_| self.has_others) {
            for apps in apps.chunks(NOTIFIED_APPS) {
                link.client.execute(NOTIFY, &[&link.channel, &encode(apps)]).await?;
            }
        }
        Ok(())
    }

    /// Reads the notification of another replica.
    fn hear(&self, notification: &Notification) {
        let is_own =
            self.link.as_ref().is_some_and(|link| link.process == notification.process_id());
        if !is_own {
            let now = (self.context.clock)();
            let due: HashMap<AppId, Moment> =
                decode(notification.payload()).map(|app| (app, now)).collect();
            self.context.shared.due_apps.notify(due);
        }
    }

    fn fail(&mut self, failure: DatabaseFailure) {
        self.link = None;
        self.failures += 1;
        let delay = backoff::delay(FIRST_DELAY, self.failures, MAX_DELAY);
        self.next_heartbeat = Instant::now() + delay;
        self.next_poll = self.next_heartbeat;
        let why: Arc<str> = match failure {
            DatabaseFailure::Unavailable(why) | DatabaseFailure::Isolated(why) => why,
            DatabaseFailure::Conflict => "the database is busy".into(),
        };
        self.context.shared.set_health(Health::Unavailable(why));
    }
}

/// The next notification; never without a connection.
async fn next_notification(link: &mut Option<SessionLink>) -> Option<Notification> {
    match link {
        Some(link) => match link.notified.recv().await {
            // The connection is lost, which the next heartbeat finds.
            None => std::future::pending().await,
            notification => notification,
        },
        None => std::future::pending().await,
    }
}

/// The text of a notification: an app per word, as its UUID and the digest of its namespace.
fn encode(apps: &[AppId]) -> String {
    let word = |app: &AppId| {
        let digest = u128::from_be_bytes(app.namespace());
        format!("{}:{digest:032x}", app.uuid.simple())
    };
    apps.iter().map(word).collect::<Vec<_>>().join(" ")
}

fn decode(text: &str) -> impl Iterator<Item = AppId> + '_ {
    text.split(' ').filter_map(|word| {
        let (uuid, digest) = word.split_once(':')?;
        let digest = u128::from_str_radix(digest, 16).ok()?;
        Some(AppId::from_digest(digest.to_be_bytes(), Uuid::parse_str(uuid).ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_names_apps_within_the_limit_of_the_database() {
        let apps: Vec<AppId> =
            (0..NOTIFIED_APPS as u128).map(|n| AppId::new("team", Uuid::from_u128(n))).collect();
        let text = encode(&apps);
        assert!(text.len() < 8000, "{}", text.len());
        assert_eq!(decode(&text).collect::<Vec<_>>(), apps);
        assert_eq!(decode("x y:z 00:1").count(), 0);
    }
}
