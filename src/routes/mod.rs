//! From a pair of UUIDs to what a trigger needs: our own table, made for reads.

mod app;
pub mod counts;
mod delivery;
mod endpoints;
mod meters;
pub mod path;
mod table;

pub use app::{App, AppId, Host, Load, NamedBy, Origin, Place, Share, Target, Upstream};
pub use delivery::{Dedup, DedupBy, Delivery};
pub use endpoints::{Busy, Endpoint, Endpoints};
pub use meters::{Counted, Meters};
pub use table::{Change, Id, Table};

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderName;
use uuid::Uuid;

use crate::expression::Expression;
use crate::guard::RateLimit;
use crate::http::Networks;
use crate::verify::Verifiers;

/// Whether a route takes triggers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Triggers are taken.
    Serving,
    /// `spec.suspend` is set: 503.
    Suspended,
    /// The webhook or its app is not Ready: 503.
    NotReady,
}

/// What a trigger of one webhook needs, found by one look-up.
#[derive(Debug, PartialEq)]
pub struct Route {
    /// The webhook's UUID.
    pub webhook: Uuid,
    /// The webhook's app.
    pub app: Arc<App>,
    /// The webhook's resource name, in the namespace of its app.
    pub name: Arc<str>,
    /// Whether triggers are taken.
    pub state: State,
    /// What the webhook's spec says about its triggers.
    pub binding: Arc<Binding>,
    /// What its triggers have to prove; nothing where there is none.
    pub proof: Option<Proof>,
}

impl Route {
    /// What it is found by.
    pub fn id(&self) -> Id {
        Id { app: self.app.uuid, webhook: self.webhook }
    }
}

/// What triggers have to prove.
#[derive(Clone, Debug)]
pub struct Proof(pub Arc<Verifiers>);

/// Two are the same when they are the very same: there is no telling from outside.
impl PartialEq for Proof {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// What a webhook's spec says about its triggers. The planner and the route share it: there may
/// be many webhooks.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// The action, as the user wrote it.
    pub action: Box<str>,
    /// The props as JSON text; `null` when unset.
    pub props: Bytes,
    /// The ceiling of a trigger's body, in bytes.
    pub max_body_bytes: u32,
    /// Headers of the trigger that are passed on.
    pub forward_headers: Box<[HeaderName]>,
    /// How events reach the listener.
    pub delivery: Delivery,
    /// What else is asked of a trigger; nothing is, of most webhooks.
    pub guards: Option<Box<Guards>>,
}

/// What a webhook asks of its triggers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Guards {
    /// Where they have to come from.
    pub sources: Option<Networks>,
    /// How many are taken.
    pub rate: Option<RateLimit>,
    /// Origins of CloudEvents senders that are told that they may send.
    pub origins: Box<[Box<str>]>,
    /// What has to hold of their events, or they are not passed on.
    pub filter: Option<Arc<Expression>>,
}
