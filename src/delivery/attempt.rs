//! One attempt to deliver an event: span, request, call and metrics. Synchronous webhooks and the
//! dispatcher of queued ones make their attempts here.

use std::borrow::Cow;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::envelope::{self, Enveloped};
use super::http1::RequestHead;
use super::{
    ApiField, Call, CallError, ListenerResponse, OutgoingEvent, ResponseBody, Subject, headers,
    outcome, trace,
};
use crate::event::EventError;
use crate::moment::Moment;
use crate::routes::{App, Meters, Target};
use crate::traces::Span;

/// What attempts of one runtime share.
pub struct AttemptContext<'a, C> {
    /// Calls listeners over connections of this runtime.
    pub caller: &'a C,
    /// Creates the field `api` for the calls of an app.
    pub api: &'a (dyn Fn(&App) -> ApiField + Send + Sync),
    /// Counts attempts.
    pub meters: Option<&'a Meters>,
}

/// One attempt.
pub struct Attempt<'a, 'r> {
    /// The webhook.
    pub subject: Subject<'a>,
    /// Its listener.
    pub target: &'a Target,
    /// The event.
    pub outgoing: OutgoingEvent,
    /// The number of the attempt, from 1.
    pub number: u32,
    /// When the attempt starts.
    pub started: Moment,
    /// What is done with the body of a 2xx response.
    pub response: ResponseBody<'r>,
}

/// The result of an attempt that sent a request, or tried to.
#[derive(Debug)]
pub struct CallReport {
    /// The response if it is 2xx.
    pub called: Result<ListenerResponse, CallError>,
    /// The duration.
    pub took: Duration,
    /// When it ended.
    pub ended: Moment,
}

/// Makes one attempt. `span` starts its span, given the headers of the event that are passed on.
///
/// # Errors
/// The event cannot be converted for the app's envelope, and nothing was sent.
pub async fn attempt<C: Call>(
    context: AttemptContext<'_, C>,
    attempt: Attempt<'_, '_>,
    span: impl FnOnce(&HeaderMap) -> Span,
) -> Result<CallReport, EventError> {
    let Attempt { subject, target, outgoing, number, started, response } = attempt;
    let (event, clock) = (outgoing.id, Instant::now());
    let mut span = span(&outgoing.content.headers);
    let enveloped = envelope::wrap(subject, outgoing, || (context.api)(subject.app));
    let Enveloped { body, headers: fields, query } =
        enveloped.inspect_err(|_| span.fail("invalid_event"))?;
    trace::begun(&mut span, subject, &target.authority, event, number);
    let mut head = RequestHead::post(&path(target, query));
    let authority = &target.authority;
    headers::write(&mut head, &fields, subject, authority, event, number, span.context());
    let request = head.with_body(body);
    let called = context.caller.call(&target.upstream, request, subject.app.timeout, response);
    let called = called.await;
    trace::ended(span, &called);
    let took = clock.elapsed();
    let ended = started + took;
    if let Some(meters) = context.meters {
        meters.apps.of(subject.app.uuid).attempted(outcome(&called), took);
        meters.webhooks.of(subject.id()).attempted(called.is_ok(), ended);
    }
    Ok(CallReport { called, took, ended })
}

/// The path of the listener, with the sender's query string after its own.
fn path(target: &Target, query: Option<HeaderValue>) -> Cow<'_, PathAndQuery> {
    let path = &target.path;
    let query = query.as_ref().and_then(|query| str::from_utf8(query.as_bytes()).ok());
    let Some(query) = query else { return Cow::Borrowed(path) };
    let separator = if path.query().is_some() { '&' } else { '?' };
    // Cannot fail: it is a valid query string.
    format!("{path}{separator}{query}").parse().map_or(Cow::Borrowed(path), Cow::Owned)
}
