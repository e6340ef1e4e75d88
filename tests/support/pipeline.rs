//! The trigger pipeline over a runner of its own, without a server around it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use webhook_operator::app_token::Tokens;
use webhook_operator::delivery::ApiFields;
use webhook_operator::delivery::{Caller, Connector};
use webhook_operator::http::Limits;
use webhook_operator::http::Networks;
use webhook_operator::moment::Moment;
use webhook_operator::plan::Settings;
use webhook_operator::plan::address::AddressPolicy;
use webhook_operator::plan::decide::ListenerPolicy;
use webhook_operator::plan::identity::IdentityKey;
use webhook_operator::routes::Table;
use webhook_operator::source::PlanRunner;
use webhook_operator::store::Queue;
use webhook_operator::store::sqlite::{Options, Sqlite};
use webhook_operator::traces::Traces;
use webhook_operator::trigger::{Budget, Failures, Pipeline, Readers, Shared};

/// What every URL begins with.
const EXTERNAL_URL: &str = "http://hooks.example.com";

/// An address policy under which listeners of tests can be called.
pub fn loopback() -> AddressPolicy {
    let allowed = vec!["127.0.0.0/8".parse().unwrap()];
    AddressPolicy { allowed, ..AddressPolicy::default() }
}

/// A store in a folder that is gone already: only what is under way needs it.
fn store() -> Sqlite {
    let folder = tempfile::tempdir().unwrap();
    let (retention, max_bytes) = (Duration::from_secs(3600), 1 << 30);
    let options = Options { folder: folder.path().into(), retention, max_bytes };
    Sqlite::open(&options, Moment::now).unwrap()
}

/// A runner that knows nothing yet, and the pipeline in front of it.
pub fn new(listeners: ListenerPolicy, trusted_proxies: Networks) -> (PlanRunner, Pipeline) {
    with_queue(listeners, trusted_proxies, Arc::new(store()))
}

/// The same over this queue.
pub fn with_queue(
    listeners: ListenerPolicy,
    trusted_proxies: Networks,
    queue: Arc<dyn Queue>,
) -> (PlanRunner, Pipeline) {
    let identity = || IdentityKey::new(&[7; 32]).unwrap();
    let caller = Caller::new(Connector::new(listeners.addresses.clone(), None).unwrap());
    let external_url = EXTERNAL_URL.into();
    let settings =
        Settings { external_url, listeners, identity: identity(), key_sets: Arc::default() };
    let runner = PlanRunner::new(settings, Arc::new(Table::default()));
    let limits = Limits::default();
    let shared = Shared {
        routes: runner.routes().clone(),
        budget: Budget::new(limits.buffered_bytes),
        limits: Arc::new(limits),
        draining: Arc::default(),
        max_body_bytes: 1 << 20,
        external_url: EXTERNAL_URL.into(),
        clock: || Moment(0),
        wall_clock: || Moment(0),
        queue,
        trusted_proxies,
        failures: Failures::new(Instant::now()),
        readers: Readers::default(),
        traces: Traces::default(),
    };
    let tokens = Arc::new(Tokens::new(&identity()));
    let api = ApiFields::new("http://api.example.com", tokens, || 0);
    (runner, Pipeline::new(Arc::new(shared), Arc::new(api), caller))
}
