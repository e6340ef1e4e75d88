//! What a webhook asks of its triggers, each with the answer to those that do not meet it.

use std::net::IpAddr;

use http::{HeaderMap, StatusCode};

use crate::http::{HttpError, Peer};
use crate::http::{Networks, client_address};
use crate::routes::Route;

/// The client's address, where the webhook cares about it; whether it may send is decided before
/// its body is read.
pub fn source(
    route: &Route,
    peer: Peer,
    headers: &HeaderMap,
    trusted: &Networks,
) -> Result<Option<IpAddr>, HttpError> {
    let guards = route.binding.guards.as_deref();
    let sources = guards.and_then(|guards| guards.sources.as_ref());
    if sources.is_none() && route.proof.is_none() {
        return Ok(None);
    }
    let client = client_address(peer, headers, trusted);
    if sources.is_none_or(|sources| client.is_some_and(|client| sources.contains(client))) {
        return Ok(client);
    }
    tracing::debug!(
        namespace = &*route.app.namespace,
        webhook = &*route.name,
        client = client.map(tracing::field::display),
        "trigger rejected: the client address is not in spec.sourceRanges"
    );
    Err(HttpError::new(
        StatusCode::FORBIDDEN,
        "source_not_allowed",
        "This client address is not allowed to send triggers.",
    ))
}

/// Whether this one is within the webhook's rate. Decided after all that a stranger could fail: who
/// is not the sender uses up nothing of it.
pub fn rate(route: &Route) -> Result<(), HttpError> {
    let guards = route.binding.guards.as_deref();
    let Some(rate) = guards.and_then(|guards| guards.rate.as_ref()) else { return Ok(()) };
    rate.take().map_err(HttpError::rate_limited)
}
