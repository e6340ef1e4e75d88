//! The ready endpoints of an app's Service: a list that all routes of the app share and that is
//! swapped atomically.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use arc_swap::ArcSwap;

use super::Origin;

/// The endpoints of one app's listener. Reads are lock-free.
#[derive(Debug, Default)]
pub struct Endpoints {
    ready: ArcSwap<Vec<Arc<Endpoint>>>,
}

impl Endpoints {
    /// The endpoints that are ready now.
    pub fn ready(&self) -> impl Deref<Target = Arc<Vec<Arc<Endpoint>>>> {
        self.ready.load()
    }

    /// Replaces the ready endpoints. Endpoints that stay keep their state. For one caller at a
    /// time.
    pub fn set(&self, origins: Vec<Origin>) {
        let before = self.ready.load();
        if before.iter().map(|endpoint| &*endpoint.origin).eq(&origins) {
            return;
        }
        let endpoint = |origin: Origin| {
            let known = before.iter().find(|endpoint| *endpoint.origin == origin);
            known.cloned().unwrap_or_else(|| Arc::new(Endpoint::new(origin)))
        };
        self.ready.store(Arc::new(origins.into_iter().map(endpoint).collect()));
    }
}

/// Always equal: the ready endpoints are not part of a plan.
impl PartialEq for Endpoints {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Endpoints {}

/// An endpoint and its state.
#[derive(Debug)]
pub struct Endpoint {
    /// The connection target, and the key of pooled connections.
    pub origin: Arc<Origin>,
    in_flight: AtomicUsize,
    resting: AtomicBool,
}

impl Endpoint {
    fn new(origin: Origin) -> Self {
        Self {
            origin: Arc::new(origin),
            in_flight: AtomicUsize::new(0),
            resting: AtomicBool::new(false),
        }
    }

    /// The load-balancing cost: recently failed endpoints last, then by calls in flight.
    pub fn burden(&self) -> (bool, usize) {
        (self.resting.load(Ordering::Relaxed), self.in_flight.load(Ordering::Relaxed))
    }

    /// Counts a call until the guard is dropped.
    pub fn enter(self: &Arc<Self>) -> Busy {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }

    /// Sets whether other endpoints are preferred; returns the previous setting.
    pub fn rest(&self, resting: bool) -> bool {
        self.resting.swap(resting, Ordering::Relaxed)
    }
}

/// A call in flight to an endpoint.
#[derive(Debug)]
pub struct Busy(Arc<Endpoint>);

impl Deref for Busy {
    type Target = Arc<Endpoint>;

    fn deref(&self) -> &Arc<Endpoint> {
        &self.0
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::Scheme;
    use crate::routes::{Host, NamedBy};

    fn origin(last: u8) -> Origin {
        let host = Host::Address([192, 0, 2, last].into());
        let (server_name, named_by) = ("shop.team-a.svc".into(), NamedBy::Service);
        Origin { scheme: Scheme::Http, host, port: 8080, server_name, named_by }
    }

    #[test]
    fn an_endpoint_that_stays_keeps_its_calls_and_one_that_comes_back_starts_afresh() {
        let endpoints = Endpoints::default();
        endpoints.set(vec![origin(1), origin(2)]);
        let calls: Vec<_> = endpoints.ready().iter().map(Endpoint::enter).collect();
        endpoints.set(vec![origin(2), origin(3)]);
        let burdens = |endpoints: &Endpoints| {
            endpoints.ready().iter().map(|endpoint| endpoint.burden().1).collect::<Vec<_>>()
        };
        assert_eq!(burdens(&endpoints), [1, 0]);
        endpoints.set(vec![origin(1), origin(2)]);
        assert_eq!(burdens(&endpoints), [0, 1]);
        drop(calls);
        assert_eq!(burdens(&endpoints), [0, 0]);
    }
}
