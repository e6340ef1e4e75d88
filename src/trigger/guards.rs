//! The conditions that a webhook sets for its triggers, each with its error response.

use std::net::IpAddr;

use http::{HeaderMap, StatusCode};

use super::Rejection;
use crate::http::Peer;
use crate::http::{Networks, client_address};
use crate::routes::{Route, TriggerOutcome};

/// Checks the client's address before its body is read. Returns it if the webhook has source ranges
/// or verification.
pub fn source(
    route: &Route,
    peer: Peer,
    headers: &HeaderMap,
    trusted: &Networks,
) -> Result<Option<IpAddr>, Rejection> {
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
    Err(Rejection::new(
        StatusCode::FORBIDDEN,
        TriggerOutcome::SourceNotAllowed,
        "This client address is not allowed to send triggers.",
    ))
}

/// Applies the webhook's rate limit. It comes after all checks that an attacker can fail, so that
/// rejected requests do not use up the sender's rate.
pub fn rate(route: &Route) -> Result<(), Rejection> {
    let guards = route.binding.guards.as_deref();
    let Some(rate) = guards.and_then(|guards| guards.rate.as_ref()) else { return Ok(()) };
    rate.take().map_err(Rejection::rate_limited)
}
