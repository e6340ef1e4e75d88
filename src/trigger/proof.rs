//! Whether a trigger is from whom it claims, and what senders ask before they send one.

use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode};

use super::{Failures, RETRY, trace};
use crate::http::HttpError;
use crate::routes::{Proof, Route};
use crate::traces::Span;
use crate::verify::{self, Denied, Input, Verified};

/// Refuses a client that has failed too often of late, before its body is read.
pub fn budget(route: &Route, failures: &Failures, client: Option<IpAddr>) -> Result<(), HttpError> {
    if route.proof.is_none() {
        return Ok(());
    }
    failures.check(route.id(), client, Instant::now()).map_err(HttpError::rate_limited)
}

/// Who sent a trigger; `None` where the webhook does not ask.
pub fn check<'r>(
    route: &'r Route,
    input: &Input<'_>,
    failures: &Failures,
    client: Option<IpAddr>,
    request: &Span,
) -> Result<Option<Verified<'r>>, HttpError> {
    let Some(Proof(verifiers)) = &route.proof else { return Ok(None) };
    let mut span = trace::verify(request);
    let verified = verifiers.check(input).map_err(|why| {
        span.fail(why.reason());
        denied(route, why, failures, client)
    })?;
    failures.passed(route.id(), client, Instant::now());
    Ok(verified)
}

/// The answer to a request that is no trigger, where the webhook expects such a one: a subscription
/// (`GET`), or a CloudEvents sender that asks for leave (`OPTIONS`).
pub fn introduction(
    route: &Route,
    input: &Input<'_>,
    failures: &Failures,
    client: Option<IpAddr>,
) -> Result<Response<Bytes>, HttpError> {
    let subscription = route.proof.as_ref().and_then(|Proof(all)| all.subscription(input));
    if let Some(answer) = subscription {
        return answer.map_err(|why| denied(route, why, failures, client));
    }
    permission(route, input.method, input.headers)
        .ok_or_else(|| HttpError::method_not_allowed("POST"))
}

fn permission(route: &Route, method: &Method, headers: &HeaderMap) -> Option<Response<Bytes>> {
    let guards = route.binding.guards.as_deref()?;
    let per_minute = guards.rate.as_ref().map(|rate| rate.per_minute());
    verify::cloud_events(method, headers, &guards.origins, per_minute)
}

/// Strangers are told one thing, whatever it was; the log gets the reason.
fn denied(route: &Route, why: Denied, failures: &Failures, client: Option<IpAddr>) -> HttpError {
    tracing::debug!(
        namespace = &*route.app.namespace,
        webhook = &*route.name,
        reason = why.reason(),
        "trigger rejected: verification failed"
    );
    if why == Denied::KeysUnavailable {
        // That is no fault of the sender's.
        return HttpError::unavailable("not_ready", "The webhook is not ready.", RETRY);
    }
    failures.failed(route.id(), client, Instant::now());
    HttpError::new(
        StatusCode::UNAUTHORIZED,
        "invalid_signature",
        "The request has no valid signature.",
    )
}
