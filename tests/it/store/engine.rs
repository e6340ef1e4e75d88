//! A store engine, as the tests of what every engine promises use it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use webhook_operator::moment::Moment;
use webhook_operator::store::Store;

/// What a test can set of a store.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long finished deliveries are kept.
    pub retention: Duration,
    /// Maximum size of the store.
    pub max_bytes: u64,
}

impl Default for Settings {
    /// As much time and space as any test needs.
    fn default() -> Self {
        Self { retention: Duration::from_secs(7 * 24 * 3600), max_bytes: 1 << 30 }
    }
}

/// The clock of a store. It shows what the test sets.
#[derive(Clone, Debug)]
pub struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub fn at(now: Moment) -> Self {
        Self(Arc::new(now.0.into()))
    }

    pub fn now(&self) -> Moment {
        Moment(self.0.load(Ordering::Relaxed))
    }

    pub fn set(&self, now: Moment) {
        self.0.store(now.0, Ordering::Relaxed);
    }
}

/// An engine, and the place of what it stores.
pub trait Engine {
    /// Opens the store, for the first time or after its process has ended: every handle to the
    /// store of the last call is dropped by then. Waits until that one is closed.
    fn open(&mut self, settings: &Settings, clock: &TestClock) -> Arc<dyn Store>;

    /// How many webhooks, tallies and apps are stored, while the store is closed. Engines that run
    /// the tests of pruning tell it.
    fn stored_rows(&mut self) -> [i64; 3] {
        panic!("this engine does not tell what it stores");
    }
}

impl Engine for Box<dyn Engine> {
    fn open(&mut self, settings: &Settings, clock: &TestClock) -> Arc<dyn Store> {
        (**self).open(settings, clock)
    }

    fn stored_rows(&mut self) -> [i64; 3] {
        (**self).stored_rows()
    }
}
