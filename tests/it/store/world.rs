//! A store in a folder of its own, an app, and webhooks by name; time is what the test says.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use rusqlite::Connection;
use tempfile::TempDir;
use uuid::Uuid;
use webhook_operator::moment::Moment;
use webhook_operator::resources::{Envelope, Ordering};
use webhook_operator::routes::{App, AppId, Binding, Delivery, Route, State as RouteState};
use webhook_operator::store::sqlite::{OpenError, Options, Sqlite};
use webhook_operator::store::{
    Attempted, Content, DuplicateKey, Filter, Form, Leased, NewEvent, Store, Summary, Take, Taken,
};

/// When tests begin.
pub const NOW: Moment = Moment(1_800_000_000_000);

/// Makes of a file of the present schema one of version 4, which does not record the time.
pub const TO_VERSION_4: &str = "
    DROP TABLE clock;
    PRAGMA user_version = 4;";

/// Makes of a file of the present schema one of version 3, in which nothing is charged to apps.
pub const TO_VERSION_3: &str = "
    DROP TABLE clock;
    DROP INDEX delivery_ended;
    ALTER TABLE app DROP COLUMN stored_bytes;
    PRAGMA user_version = 3;";

/// Makes of a file of the present schema one of version 2, whose apps have no namespace.
pub const TO_VERSION_2: &str = "
    PRAGMA foreign_keys = OFF;
    DROP TABLE clock;
    DROP INDEX delivery_ended;
    CREATE TABLE old (key INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE) STRICT;
    INSERT INTO old SELECT key, uuid FROM app;
    DROP TABLE app;
    ALTER TABLE old RENAME TO app;
    DROP TABLE owner;
    PRAGMA user_version = 2;";

/// How long deliveries are leased.
pub const LEASE: Duration = Duration::from_secs(40);

/// A store and what it is told of.
pub struct World {
    pub folder: TempDir,
    pub options: Options,
    pub store: Sqlite,
    pub app: AppId,
}

impl World {
    /// With as much room as wanted.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// With other options.
    pub fn with(change: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options {
            folder: folder.path().join("queue"),
            retention: Duration::from_secs(7 * 24 * 3600),
            max_bytes: 1 << 30,
        };
        change(&mut options);
        let store = Sqlite::open(&options, || NOW).unwrap();
        Self { folder, options, store, app: AppId::new("team-a", Uuid::from_u128(7)) }
    }

    /// The same folder, opened again.
    pub fn restart(self) -> Self {
        self.restart_at(|| NOW)
    }

    /// The same folder, opened again with another clock.
    pub fn restart_at(self, clock: fn() -> Moment) -> Self {
        self.restart_as(|_| {}, clock)
    }

    /// The same folder, opened again by a store that forgets what has ended at once.
    pub fn restart_forgetful(self) -> Self {
        self.restart_as(|options| options.retention = Duration::ZERO, || NOW + LEASE)
    }

    fn restart_as(self, change: impl FnOnce(&mut Options), clock: fn() -> Moment) -> Self {
        let Self { folder, mut options, store, app } = self;
        change(&mut options);
        drop(store);
        // The writing thread ends when it sees that nobody is left.
        let store = loop {
            match Sqlite::open(&options, clock) {
                Ok(store) => break store,
                Err(OpenError::InUse) => std::thread::yield_now(),
                Err(error) => panic!("{error}"),
            }
        };
        Self { folder, options, store, app }
    }

    /// The same folder, opened anew after its file was changed.
    pub fn restart_with(self, change: impl FnOnce(&Connection)) -> Self {
        let Self { folder, options, store, app } = self;
        drop(store);
        let lock = std::fs::File::open(options.folder.join("lock")).unwrap();
        lock.lock().unwrap();
        change(&Connection::open(options.folder.join("queue.sqlite3")).unwrap());
        drop(lock);
        let store = Sqlite::open(&options, || NOW).unwrap();
        Self { folder, options, store, app }
    }

    /// The same route in another namespace: the same UUIDs, and rows of its own.
    pub fn elsewhere(route: &Route, namespace: &str) -> Arc<Route> {
        let app = &route.app;
        let foreign = App {
            id: AppId::new(namespace, app.uuid),
            uuid: app.uuid,
            namespace: namespace.into(),
            name: "stolen".into(),
            instance: "".into(),
            target: None,
            envelope: app.envelope,
            timeout: app.timeout,
            concurrency: app.concurrency,
            retry: app.retry.clone(),
            load: Arc::default(),
        };
        Arc::new(Route {
            webhook: route.webhook,
            app: Arc::new(foreign),
            name: "stolen".into(),
            state: route.state,
            binding: route.binding.clone(),
            proof: None,
        })
    }

    /// A webhook of the app; one whose name begins with `fifo` is `Fifo`.
    pub fn route(&self, name: &str) -> Arc<Route> {
        let ordering = if name.starts_with("fifo") { Ordering::Fifo } else { Ordering::Parallel };
        self.route_with(name, ordering)
    }

    /// A webhook of the app.
    pub fn route_with(&self, name: &str, ordering: Ordering) -> Arc<Route> {
        let app = App {
            id: self.app,
            uuid: self.app.uuid,
            namespace: "team-a".into(),
            name: "shop".into(),
            instance: "".into(),
            target: None,
            envelope: Envelope::Action,
            timeout: Duration::from_secs(10),
            concurrency: 16,
            retry: Arc::default(),
            load: Arc::default(),
        };
        let binding = Binding {
            action: format!("act-{name}").into(),
            props: Bytes::from_static(b"null"),
            max_body_bytes: 1 << 20,
            forward_headers: Box::default(),
            delivery: Delivery { ordering, ..Delivery::default() },
            guards: None,
        };
        let webhook = name.bytes().fold(0, |hash, byte| hash * 131 + u128::from(byte));
        Arc::new(Route {
            webhook: Uuid::from_u128(webhook),
            app: Arc::new(app),
            name: name.into(),
            state: RouteState::Serving,
            binding: Arc::new(binding),
            proof: None,
        })
    }

    /// An event that was just triggered.
    pub fn event(&self, webhook: &str, body: &[u8]) -> NewEvent {
        let mut headers = HeaderMap::new();
        headers.insert("x-kept", HeaderValue::from_static("1"));
        NewEvent {
            id: self.store.ids().next(NOW),
            route: self.route(webhook),
            content: Content {
                form: Form::Json,
                content_type: Some(HeaderValue::from_static("application/json")),
                headers,
                body: Bytes::copy_from_slice(body),
            },
            duplicate: None,
            now: NOW,
        }
    }

    /// A copy of an event, known by a key.
    pub fn copy(&self, webhook: &str, key: u8, window: Duration, now: Moment) -> NewEvent {
        let duplicate = Some(DuplicateKey { hash: [key; 16], window });
        NewEvent { id: self.store.ids().next(now), duplicate, now, ..self.event(webhook, b"{}") }
    }

    /// Stores an event.
    pub async fn accept(&self, webhook: &str) -> Uuid {
        let event = self.event(webhook, b"{}");
        let id = event.id;
        self.store.accept(event).await.unwrap();
        id
    }

    /// Leases what is due.
    pub async fn take(&self, now: Moment) -> Taken {
        self.take_at_most(100, now).await
    }

    /// Leases some of what is due.
    pub async fn take_at_most(&self, most: usize, now: Moment) -> Taken {
        self.store.take(Take { app: self.app, most, now, lease: LEASE }).await.unwrap()
    }

    /// Leases the one that is due.
    pub async fn take_one(&self, now: Moment) -> Leased {
        let mut taken = self.take_at_most(1, now).await;
        taken.leased.pop().expect("nothing is due")
    }

    /// What the store tells its dispatcher.
    pub async fn due_apps(&self) -> Vec<(AppId, Moment)> {
        self.store.due_apps().take().await.into_iter().collect()
    }

    /// A list of at most a thousand lines.
    pub async fn list(&self, filter: Filter) -> Vec<Summary> {
        self.store.list(filter, None, 1000).await.unwrap()
    }

    /// The line of one delivery.
    pub async fn summary(&self, id: Uuid) -> Summary {
        self.store.show(id).await.unwrap().expect("no such delivery").summary
    }
}

/// An attempt that succeeded.
pub fn attempted(number: u32) -> Attempted {
    Attempted {
        number,
        started: NOW,
        took: Duration::from_micros(1500),
        status: Some(200),
        error: None,
        answer: Bytes::new(),
    }
}

/// An attempt that failed.
pub fn failed(number: u32) -> Attempted {
    Attempted {
        status: Some(500),
        error: Some("the listener answered 500".into()),
        answer: Bytes::from_static(b"oops"),
        ..attempted(number)
    }
}
