//! The state that all routes of an app share: its listener and its resource usage.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::HeaderValue;
use http::uri::PathAndQuery;
use uuid::Uuid;

use super::Endpoints;
use crate::resources::{Envelope, Scheme};
use crate::retry::Policy;

/// The owner of stored events: an app's UUID within a namespace.
///
/// Two namespaces can use the same UUID, one after the other. Events that one of them left in the
/// store must never reach the other, so the UUID alone does not identify the owner. The namespace
/// is stored as a digest (the first half of its SHA-256), which makes the id `Copy`: the queue
/// passes it around for each event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppId {
    /// The app's UUID.
    pub uuid: Uuid,
    namespace: [u8; 16],
}

impl AppId {
    /// The id of an app.
    pub fn new(namespace: &str, uuid: Uuid) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, namespace.as_bytes());
        let mut half = [0; 16];
        half.copy_from_slice(&digest.as_ref()[..16]);
        Self { uuid, namespace: half }
    }

    /// The id of an app whose namespace has this digest, see [`Self::namespace`].
    pub fn from_digest(namespace: [u8; 16], uuid: Uuid) -> Self {
        Self { uuid, namespace }
    }

    /// The digest of the namespace, equal for all apps of a namespace.
    pub fn namespace(self) -> [u8; 16] {
        self.namespace
    }
}

/// An app as the trigger path sees it.
#[derive(Debug, PartialEq)]
pub struct App {
    /// The owner of its stored events.
    pub id: AppId,
    /// The app's UUID, as in `id`.
    pub uuid: Uuid,
    /// The namespace of the app and of its webhooks.
    pub namespace: Arc<str>,
    /// The app's resource name.
    pub name: Arc<str>,
    /// The instance that its app API tokens are bound to, in addition to its name.
    pub instance: Arc<str>,
    /// The listener; `None` while the app is not Ready.
    pub target: Option<Target>,
    /// The format of the listener request.
    pub envelope: Envelope,
    /// The timeout of a whole attempt.
    pub timeout: Duration,
    /// The number of concurrent attempts of its queue.
    pub concurrency: usize,
    /// The retry policy of webhooks that do not set their own.
    pub retry: Arc<Policy>,
    /// The app's current resource usage.
    pub load: Arc<AppLimits>,
}

/// A listener's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The connection target.
    pub upstream: Upstream,
    /// The value of the `Host` header.
    pub authority: HeaderValue,
    /// Path and query of the request.
    pub path: PathAndQuery,
}

/// The connection target of listener calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// One address or name; connections are pooled by it.
    Origin(Arc<Origin>),
    /// The ready endpoints of a Service.
    Endpoints(Arc<Endpoints>),
}

/// The key of a pooled listener connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// The host to connect to.
    pub host: Host,
    /// The TCP port.
    pub port: u16,
    /// The name that the listener's certificate must have, for `https`.
    pub server_name: Arc<str>,
    /// The kind of reference that names the origin: URLs may reach fewer addresses.
    pub named_by: NamedBy,
}

/// The kind of reference by which a tenant names an origin. It is part of the origin, so that a
/// call by URL never uses a pooled connection that was opened for a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NamedBy {
    /// A Service of the tenant's namespace.
    Service,
    /// A URL: `listener.url`, `jwksUrl`.
    Url,
}

/// A host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An IP address, which needs no DNS lookup.
    Address(IpAddr),
    /// A DNS name, resolved at each connect.
    Name(Arc<str>),
}

impl From<url::Host<&str>> for Host {
    fn from(host: url::Host<&str>) -> Self {
        match host {
            url::Host::Domain(name) => Self::Name(name.into()),
            url::Host::Ipv4(address) => Self::Address(address.into()),
            url::Host::Ipv6(address) => Self::Address(address.into()),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// Usage counters that keep one app from using up shared resources.
#[derive(Debug, Default)]
pub struct AppLimits {
    in_flight: AtomicUsize,
    buffered: AtomicUsize,
}

/// The limits of one app.
#[derive(Clone, Copy, Debug)]
pub struct AppQuota {
    /// Concurrent triggers.
    pub in_flight: usize,
    /// Bytes of request bodies in memory.
    pub buffered: usize,
}

impl AppLimits {
    /// Takes an in-flight slot of this app; `None` if all are taken.
    pub fn enter(self: &Arc<Self>, share: AppQuota) -> Option<InFlightPermit> {
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let place = InFlightPermit { load: Arc::clone(self), share, buffered: 0 };
        (before < share.in_flight).then_some(place)
    }
}

/// Always equal: the usage is not part of a plan.
impl PartialEq for AppLimits {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// An in-flight slot from [`AppLimits::enter`]; dropping it returns the slot and its buffered bytes.
#[derive(Debug)]
pub struct InFlightPermit {
    load: Arc<AppLimits>,
    share: AppQuota,
    buffered: usize,
}

impl InFlightPermit {
    /// Reserves memory; false if the app's limit is exceeded.
    pub fn buffer(&mut self, bytes: usize) -> bool {
        self.buffered += bytes;
        let before = self.load.buffered.fetch_add(bytes, Ordering::Relaxed);
        before + bytes <= self.share.buffered
    }

    /// Returns a part of the reserved memory.
    pub fn release(&mut self, bytes: usize) {
        let bytes = bytes.min(self.buffered);
        self.buffered -= bytes;
        self.load.buffered.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for InFlightPermit {
    fn drop(&mut self) {
        self.load.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.load.buffered.fetch_sub(self.buffered, Ordering::Relaxed);
    }
}
