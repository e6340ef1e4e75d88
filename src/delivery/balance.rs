//! Load balancing over the endpoints of a Service: power of two choices (P2C).
//!
//! A call goes to the less loaded of two random endpoints. Two choices are enough for an even load,
//! and concurrent callers do not all choose the same endpoint (M. Mitzenmacher, "The Power of Two
//! Choices in Randomized Load Balancing", 2001).

use std::sync::Arc;
use std::time::Duration;

use crate::routes::{Busy, Endpoint};

/// How long an endpoint is avoided after a failed connect, if there are others. An EndpointSlice
/// shows the loss of a node only after most of a minute.
const REST: Duration = Duration::from_secs(10);

/// Chooses an endpoint that was not tried yet; `None` if all were tried.
pub fn pick(ready: &[Arc<Endpoint>], tried: &[Arc<Endpoint>]) -> Option<Busy> {
    if tried.is_empty() {
        return of_two(ready);
    }
    let is_tried = |endpoint: &Arc<Endpoint>| tried.iter().any(|one| Arc::ptr_eq(one, endpoint));
    let left: Vec<_> = ready.iter().filter(|endpoint| !is_tried(endpoint)).cloned().collect();
    of_two(&left)
}

fn of_two(candidates: &[Arc<Endpoint>]) -> Option<Busy> {
    let chosen = match candidates {
        [] => return None,
        [only] => only,
        _ => {
            let first = fastrand::usize(..candidates.len());
            // A random distance from the first one, modulo the length: never the same endpoint
            // twice.
            let step = fastrand::usize(1..candidates.len());
            let second = &candidates[(first + step) % candidates.len()];
            std::cmp::min_by_key(&candidates[first], second, |endpoint| endpoint.burden())
        }
    };
    Some(chosen.enter())
}

/// Marks an endpoint as failed for [`REST`].
pub fn rest(endpoint: &Arc<Endpoint>) {
    if endpoint.rest(true) {
        return;
    }
    let endpoint = endpoint.clone();
    tokio::spawn(async move {
        tokio::time::sleep(REST).await;
        endpoint.rest(false);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::Scheme;
    use crate::routes::{Endpoints, Host, NamedBy, Origin};

    fn endpoints(count: u8) -> Vec<Arc<Endpoint>> {
        let origin = |n| Origin {
            scheme: Scheme::Http,
            host: Host::Address([192, 0, 2, n].into()),
            port: 8080,
            server_name: "shop.team-a.svc".into(),
            named_by: NamedBy::Service,
        };
        let endpoints = Endpoints::default();
        endpoints.set((0..count).map(origin).collect());
        let ready = endpoints.ready();
        ready.to_vec()
    }

    #[test]
    fn calls_that_stay_open_spread_evenly() {
        let ready = endpoints(10);
        let _open: Vec<_> = (0..1000).filter_map(|_| pick(&ready, &[])).collect();
        // With a single random choice, some endpoint would nearly always have 120 or more.
        assert!(
            ready.iter().all(|endpoint| (90..=110).contains(&endpoint.burden().1)),
            "{ready:?}"
        );
    }

    #[test]
    fn the_less_loaded_of_two_endpoints_is_chosen() {
        let ready = endpoints(2);
        let _call = ready[0].enter();
        assert!((0..50).all(|_| Arc::ptr_eq(&pick(&ready, &[]).unwrap(), &ready[1])));
    }

    #[test]
    fn endpoints_are_tried_once() {
        let ready = endpoints(3);
        let mut tried = Vec::new();
        while let Some(busy) = pick(&ready, &tried) {
            assert!(!tried.iter().any(|one| Arc::ptr_eq(one, &busy)));
            tried.push(busy.clone());
        }
        assert_eq!(tried.len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_endpoint_is_avoided_for_a_while() {
        let ready = endpoints(2);
        rest(&ready[0]);
        let _calls: Vec<_> = (0..10).map(|_| ready[1].enter()).collect();
        assert!((0..50).all(|_| Arc::ptr_eq(&pick(&ready, &[]).unwrap(), &ready[1])));
        tokio::time::sleep(REST + Duration::from_millis(1)).await;
        assert!((0..50).all(|_| Arc::ptr_eq(&pick(&ready, &[]).unwrap(), &ready[0])));
    }
}
