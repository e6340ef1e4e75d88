//! The route table: maps a pair of UUIDs to everything that a trigger needs. Optimized for reads.

mod app;
pub mod counts;
mod delivery;
mod endpoints;
mod forwarded;
mod meters;
mod outcome;
pub mod path;
mod response;
mod table;
mod transform;

pub use app::{
    App, AppId, AppLimits, AppQuota, Host, InFlightPermit, NamedBy, Origin, Target, Upstream,
};
pub use delivery::{Dedup, DedupBy, Delivery};
pub use endpoints::{Busy, Endpoint, Endpoints};
pub use forwarded::ForwardedHeaders;
pub use meters::{Counted, Meters};
pub use outcome::{AttemptOutcome, TriggerOutcome};
pub use response::{AcceptedResponse, FixedResponse, Probes};
pub use table::{Change, Id, Table};
pub use transform::{MAX_TRANSFORM_PROPS_BYTES, Transform};

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::event::BodyRule;
use crate::expression::Expression;
use crate::guard::RateLimit;
use crate::http::Networks;
use crate::verify::Verifiers;

/// Whether a route accepts triggers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteState {
    /// Triggers are accepted.
    Serving,
    /// `spec.suspend` is set: 503.
    Suspended,
    /// The webhook or its app is not Ready: 503.
    NotReady,
}

/// A route: everything that a trigger of one webhook needs, found by one lookup.
#[derive(Debug, PartialEq)]
pub struct Route {
    /// The webhook's UUID.
    pub webhook: Uuid,
    /// The webhook's app.
    pub app: Arc<App>,
    /// The webhook's resource name, in the namespace of its app.
    pub name: Arc<str>,
    /// Whether triggers are accepted.
    pub state: RouteState,
    /// The webhook's options.
    pub binding: Arc<Binding>,
    /// The verification of its triggers, if any.
    pub proof: Option<Proof>,
}

impl Route {
    /// The key of the route.
    pub fn id(&self) -> Id {
        Id { app: self.app.uuid, webhook: self.webhook }
    }
}

/// The verification of triggers.
#[derive(Clone, Debug)]
pub struct Proof(pub Arc<Verifiers>);

/// Compares by identity: verifiers contain keys and are not comparable.
impl PartialEq for Proof {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The options of a webhook. The planner and the route share them, as there may be many webhooks.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// The action, as the user wrote it.
    pub action: Box<str>,
    /// The props as JSON text; `null` when unset.
    pub props: Bytes,
    /// The limit of a trigger's body, in bytes.
    pub max_body_bytes: u32,
    /// How the body becomes the event.
    pub body: BodyRule,
    /// Headers of the trigger that are passed to the listener.
    pub forward_headers: ForwardedHeaders,
    /// Whether the query string is passed to the listener.
    pub forward_query: bool,
    /// Methods that are answered without an event.
    pub probes: Probes,
    /// The response to accepted triggers; most webhooks have the default one.
    pub response: Option<Box<AcceptedResponse>>,
    /// What events are converted by before the listener gets them.
    pub transform: Option<Transform>,
    /// The delivery options.
    pub delivery: Delivery,
    /// Further conditions for triggers; most webhooks have none.
    pub guards: Option<Box<Guards>>,
}

/// The conditions for a webhook's triggers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Guards {
    /// The allowed client addresses.
    pub sources: Option<Networks>,
    /// The rate limit.
    pub rate: Option<RateLimit>,
    /// Origins of CloudEvents senders that get permission to send.
    pub origins: Box<[Box<str>]>,
    /// The condition for events; others are dropped.
    pub filter: Option<Arc<Expression>>,
}
