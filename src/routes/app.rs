//! What all routes of one app share: the listener, and how much of the server the app uses.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use uuid::Uuid;

use crate::resources::{Envelope, Scheme};

/// An app as the trigger path sees it.
#[derive(Debug, PartialEq)]
pub struct App {
    /// The app's UUID.
    pub uuid: Uuid,
    /// The namespace of the app and of its webhooks.
    pub namespace: Arc<str>,
    /// The app's resource name.
    pub name: Arc<str>,
    /// Where its triggers are carried to; `None` while the app is not Ready.
    pub target: Option<Target>,
    /// The shape of the listener call.
    pub envelope: Envelope,
    /// How long a whole attempt may take.
    pub timeout: Duration,
    /// What of the server the app uses right now.
    pub load: Arc<Load>,
}

/// A listener's address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// What is connected to.
    pub host: Host,
    /// The TCP port.
    pub port: u16,
    /// The value of the `Host` header; without its port also the name in the certificate.
    pub authority: Arc<str>,
    /// Path and query of the request.
    pub path: Arc<str>,
}

/// A name or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An IP address: no look-up is needed.
    Address(IpAddr),
    /// A DNS name, resolved at each connect.
    Name(Arc<str>),
}

/// Counters that keep one app from taking what all share.
#[derive(Debug, Default)]
pub struct Load {
    in_flight: AtomicUsize,
}

impl Load {
    /// Takes one of `limit` places of this app; `None` when all are taken.
    pub fn enter(self: &Arc<Self>, limit: usize) -> Option<LoadGuard> {
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let guard = LoadGuard(Arc::clone(self));
        (before < limit).then_some(guard)
    }

    /// How many triggers of this app are under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }
}

/// Two loads are the same to a route: they are no part of what was planned.
impl PartialEq for Load {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A place taken by [`Load::enter`], given back when dropped.
#[derive(Debug)]
pub struct LoadGuard(Arc<Load>);

impl Drop for LoadGuard {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
