//! A store of an engine, an app, and webhooks by name; time is what the test says.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use uuid::Uuid;
use webhook_operator::moment::Moment;
use webhook_operator::resources::{Envelope, Ordering};
use webhook_operator::routes::{
    App, AppId, Binding, Delivery, ForwardedHeaders, Probes, Route, RouteState,
};
use webhook_operator::store::{
    Attempted, Content, DuplicateKey, Filter, Form, Leased, NewEvent, Next, Store, Summary, Take,
    Taken,
};
use webhook_operator::verify::Repeats;

use crate::store::engine::{Engine, Settings, TestClock};

/// When tests begin.
pub const NOW: Moment = Moment(1_800_000_000_000);

/// More leases than any test has.
pub const MANY: usize = 1 << 20;

/// How long deliveries are leased.
pub const LEASE: Duration = Duration::from_secs(40);

/// A store and what it is told of.
pub struct World<E = Box<dyn Engine>> {
    pub engine: E,
    pub settings: Settings,
    pub clock: TestClock,
    pub store: Arc<dyn Store>,
    pub app: AppId,
}

impl<E: Engine> World<E> {
    /// With as much room as wanted.
    pub fn of(engine: E) -> Self {
        Self::with_settings(engine, Settings::default())
    }

    /// With these settings.
    pub fn with_settings(mut engine: E, settings: Settings) -> Self {
        let clock = TestClock::at(NOW);
        let store = engine.open(&settings, &clock);
        Self { engine, settings, clock, store, app: AppId::new("team-a", Uuid::from_u128(7)) }
    }

    /// The same store, opened again.
    pub fn restart(self) -> Self {
        self.restart_after(|_| ())
    }

    /// The same store, opened again when the clock shows another time. Until it is closed, it does
    /// not see that time.
    pub fn restart_at(mut self, now: Moment) -> Self {
        self.clock = TestClock::at(now);
        self.restart()
    }

    /// The same store, opened again with another retention.
    pub fn restart_keeping(mut self, retention: Duration) -> Self {
        self.settings.retention = retention;
        self.restart()
    }

    /// The same store, opened again so that it forgets what has ended at once.
    pub fn restart_forgetful(mut self) -> Self {
        self.settings.retention = Duration::ZERO;
        self.restart_at(NOW + LEASE)
    }

    /// The same store, opened again after something was done to its engine while it was closed.
    pub fn restart_after(self, change: impl FnOnce(&mut E)) -> Self {
        let Self { mut engine, settings, clock, store, app } = self;
        drop(store);
        change(&mut engine);
        let store = engine.open(&settings, &clock);
        Self { engine, settings, clock, store, app }
    }

    /// Ends, and tells how many webhooks, tallies and apps are stored.
    pub fn stored_rows(self) -> [i64; 3] {
        let Self { mut engine, store, .. } = self;
        drop(store);
        engine.stored_rows()
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
            forward_headers: ForwardedHeaders::default(),
            forward_query: false,
            probes: Probes::default(),
            response: None,
            body: webhook_operator::event::BodyRule::Auto,
            delivery: Delivery { ordering, ..Delivery::default() },
            transform: None,
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
            is_refused: false,
            now: NOW,
        }
    }

    /// A copy of an event, known by a key.
    pub fn copy(&self, webhook: &str, key: u8, window: Duration, now: Moment) -> NewEvent {
        let repeats = Repeats::ByItself;
        let duplicate = Some(DuplicateKey { hash: [key; 16], repeats, window });
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
        self.store
            .take(Take { app: self.app, most, concurrency: MANY, now, lease: LEASE })
            .await
            .unwrap()
    }

    /// Leases the one that is due.
    pub async fn take_one(&self, now: Moment) -> Leased {
        let mut taken = self.take_at_most(1, now).await;
        taken.leased.pop().expect("nothing is due")
    }

    /// Delivers some of what is due. Returns how many.
    pub async fn deliver(&self, most: usize) -> usize {
        let leased = self.take_at_most(most, NOW).await.leased;
        let count = leased.len();
        let settle = |leased: Leased| {
            self.store.settle(leased.lease, attempted(leased.attempt), Next::Succeeded)
        };
        for settled in leased.into_iter().map(settle).collect::<Vec<_>>() {
            settled.await.unwrap();
        }
        count
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
