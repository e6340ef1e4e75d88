//! What all routes of one app share: the listener, and how much of the server the app uses.

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

/// What stored events belong to: an app's UUID within one namespace.
///
/// A UUID may be used by two namespaces, one after the other. What one of them left in the store must never
/// reach the other, so the UUID alone does not identify it. The namespace is held as a digest (the first half
/// of its SHA-256), which makes the id `Copy`: the queue passes it around for each event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppId {
    /// The app's UUID.
    pub uuid: Uuid,
    namespace: [u8; 16],
}

impl AppId {
    /// The id of the app that has this UUID in this namespace.
    pub fn new(namespace: &str, uuid: Uuid) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, namespace.as_bytes());
        let mut half = [0; 16];
        half.copy_from_slice(&digest.as_ref()[..16]);
        Self { uuid, namespace: half }
    }

    /// The digest of the namespace: equal for apps of one namespace.
    pub fn namespace(self) -> [u8; 16] {
        self.namespace
    }
}

/// An app as the trigger path sees it.
#[derive(Debug, PartialEq)]
pub struct App {
    /// What its stored events belong to.
    pub id: AppId,
    /// The app's UUID: that of `id`.
    pub uuid: Uuid,
    /// The namespace of the app and of its webhooks.
    pub namespace: Arc<str>,
    /// The app's resource name.
    pub name: Arc<str>,
    /// What its tokens of the app API are bound to beside its name.
    pub instance: Arc<str>,
    /// Where its triggers are carried to; `None` while the app is not Ready.
    pub target: Option<Target>,
    /// The shape of the listener call.
    pub envelope: Envelope,
    /// How long a whole attempt may take.
    pub timeout: Duration,
    /// How many attempts of its queue there are at once.
    pub concurrency: usize,
    /// When an attempt that failed is made again, where its webhook does not say.
    pub retry: Arc<Policy>,
    /// What of the server the app uses right now.
    pub load: Arc<Load>,
}

/// A listener's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What is connected to.
    pub upstream: Upstream,
    /// The value of the `Host` header.
    pub authority: HeaderValue,
    /// Path and query of the request.
    pub path: PathAndQuery,
}

/// What calls of a listener go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// One address or name; connections are pooled by it.
    Origin(Arc<Origin>),
    /// Whichever of a Service's endpoints is ready.
    Endpoints(Arc<Endpoints>),
}

/// What a connection to a listener depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// What is connected to.
    pub host: Host,
    /// The TCP port.
    pub port: u16,
    /// The name that the listener's certificate must have, of `https`.
    pub server_name: Arc<str>,
    /// What names it: fewer addresses may be reached by a URL.
    pub named_by: NamedBy,
}

/// What a tenant names an origin by. It is part of the origin, so that a call by a URL never goes over
/// a pooled connection that was made for a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NamedBy {
    /// A Service of the tenant's namespace.
    Service,
    /// A URL: `listener.url`, `jwksUrl`.
    Url,
}

/// A name or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An IP address: no look-up is needed.
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

/// Counters that keep one app from taking what all share.
#[derive(Debug, Default)]
pub struct Load {
    in_flight: AtomicUsize,
    buffered: AtomicUsize,
}

/// How much one app may take.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// Triggers at once.
    pub in_flight: usize,
    /// Bytes of bodies in memory at once.
    pub buffered: usize,
}

impl Load {
    /// Takes a place of this app; `None` when all are taken.
    pub fn enter(self: &Arc<Self>, share: Share) -> Option<Place> {
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let place = Place { load: Arc::clone(self), share, buffered: 0 };
        (before < share.in_flight).then_some(place)
    }
}

/// Two loads are the same to a route: they are no part of what was planned.
impl PartialEq for Load {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A place taken by [`Load::enter`]; it and what it buffers are given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    load: Arc<Load>,
    share: Share,
    buffered: usize,
}

impl Place {
    /// Counts more bytes held in memory; false when that is more than the app's share.
    pub fn buffer(&mut self, bytes: usize) -> bool {
        self.buffered += bytes;
        let before = self.load.buffered.fetch_add(bytes, Ordering::Relaxed);
        before + bytes <= self.share.buffered
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.load.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.load.buffered.fetch_sub(self.buffered, Ordering::Relaxed);
    }
}
