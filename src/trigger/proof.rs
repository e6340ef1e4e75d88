//! Verifies triggers, and answers handshakes of senders.

use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode};

use super::success::Success;
use super::{Failures, Rejection, trace};
use crate::routes::{Proof, Route, TriggerOutcome};
use crate::traces::Span;
use crate::verify::{self, Denied, Input, Verified};

/// Rejects a client that has recently failed too often, before its body is read.
pub fn budget(route: &Route, failures: &Failures, client: Option<IpAddr>) -> Result<(), Rejection> {
    if route.proof.is_none() {
        return Ok(());
    }
    failures.check(route.id(), client, Instant::now()).map_err(Rejection::rate_limited)
}

/// Whether a signature of the webhook's senders covers the decoded body.
pub fn needs_decoded(route: &Route) -> bool {
    route.proof.as_ref().is_some_and(|Proof(verifiers)| verifiers.need_decoded())
}

/// Counts a body that was rejected before its signature could be verified.
pub fn count_failure(route: &Route, failures: &Failures, client: Option<IpAddr>) {
    failures.record_failure(route.id(), client, Instant::now());
}

/// Verifies a trigger; `None` if the webhook has no verification.
pub fn check<'r>(
    route: &'r Route,
    input: &Input<'_>,
    failures: &Failures,
    client: Option<IpAddr>,
    request: &Span,
) -> Result<Option<Verified<'r>>, Rejection> {
    let Some(Proof(verifiers)) = &route.proof else { return Ok(None) };
    let mut span = trace::verify(request);
    let verified = verifiers.check(input).map_err(|why| {
        span.fail(why.reason());
        denied(route, why, failures, client)
    })?;
    failures.record_success(route.id(), client, Instant::now());
    Ok(verified)
}

/// The response to an unsigned check of the endpoint: 200 without a body; `None` for any other
/// request. It counts neither as a valid nor as a failed signature, and not for the webhook's rate.
pub fn unsigned_check(route: &Route, input: &Input<'_>) -> Option<Response<Bytes>> {
    let Proof(verifiers) = route.proof.as_ref()?;
    verifiers.is_unsigned_check(input).then(Response::default)
}

/// The response to a challenge that is not verified as an event is; `None` for any other request.
///
/// # Errors
/// 401, if it has another verify token.
pub fn challenge(
    route: &Route,
    input: &Input<'_>,
    failures: &Failures,
    client: Option<IpAddr>,
) -> Result<Option<Response<Bytes>>, Rejection> {
    let answer = route.proof.as_ref().and_then(|Proof(verifiers)| verifiers.challenge(input));
    answer.transpose().map_err(|why| denied(route, why, failures, client))
}

/// Answers a request before the first event: a challenge (`GET`), a CloudEvents permission request
/// (`OPTIONS`), or a probe (`GET`, `HEAD`).
pub fn before_events(
    route: &Route,
    input: &Input<'_>,
    failures: &Failures,
    client: Option<IpAddr>,
) -> Result<Success, Rejection> {
    if let Some(answer) = challenge(route, input, failures, client)? {
        return Ok(Success::Answered(answer));
    }
    if route.binding.probes.include(input.method) {
        return Ok(Success::Probed);
    }
    let permission = permission(route, input.method, input.headers);
    permission.map(Success::Answered).ok_or_else(Rejection::method_not_allowed)
}

fn permission(route: &Route, method: &Method, headers: &HeaderMap) -> Option<Response<Bytes>> {
    let guards = route.binding.guards.as_deref()?;
    let per_minute = guards.rate.as_ref().map(|rate| rate.per_minute());
    verify::cloud_events(method, headers, &guards.origins, per_minute)
}

/// The response to a failed verification: the same for every cause, which is only logged.
fn denied(route: &Route, why: Denied, failures: &Failures, client: Option<IpAddr>) -> Rejection {
    tracing::debug!(
        namespace = &*route.app.namespace,
        webhook = &*route.name,
        reason = why.reason(),
        "trigger rejected: verification failed"
    );
    if why == Denied::KeysUnavailable {
        // The sender is not at fault.
        return super::not_ready();
    }
    failures.record_failure(route.id(), client, Instant::now());
    Rejection::new(
        StatusCode::UNAUTHORIZED,
        TriggerOutcome::InvalidSignature,
        "The request has no valid signature.",
    )
}
