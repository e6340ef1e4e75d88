//! One attempt of a delivery: what is sent, what comes of it, and its record.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::time::{Instant, sleep, timeout};

use super::body_budget::BodyPermit;
use super::schedule::End;
use super::{Call, Dispatched, Work};
use crate::backoff;
use crate::delivery::{self, Attempt, CallError, Subject, trace};
use crate::event::{self, Event, EventError};
use crate::moment::Moment;
use crate::retry::{self, Outcome, Policy};
use crate::routes::{App, Id, Meters, Route, Target};
use crate::store::{
    Attempted, Body, Form, Lease, Leased, Next, Reason, Settled, StoreError, StoredWebhook,
};

/// How much longer than its call an attempt's lease is: the body is read before, the record is written
/// after.
pub const LEASE_SLACK: Duration = Duration::from_secs(30);

/// How long an attempt waits for the memory of its body.
const BODY_MEMORY_TIMEOUT: Duration = Duration::from_secs(15);

/// The wait before a record is written again; it doubles up to the longest one.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What an attempt is made of.
pub struct Job {
    pub app: Arc<App>,
    pub leased: Leased,
    /// When the lease ends.
    pub until: Moment,
}

/// What came of a call, and what follows.
struct Done {
    attempted: Attempted,
    next: Next,
    end: End,
}

impl<C: Call> Work<C> {
    /// Makes an attempt, and records it.
    pub async fn attempt(&self, job: Job) -> Dispatched {
        let Job { app, mut leased, until } = job;
        let unsettled = Dispatched::Ended { app: app.id, end: End::Unsettled(until) };
        // An app of which something was taken had a listener: it has one still, it is the same app.
        let Some(target) = &app.target else { return unsettled };
        let body = std::mem::replace(&mut leased.body, Body::Here(Bytes::new()));
        let (body, permit) = match self.load_body(&app, &leased, body).await {
            Ok(Some(body)) => body,
            Ok(None) => return unsettled,
            Err(StoreError::Failed(_)) => return Dispatched::StoreFailed,
            Err(_) => return unsettled,
        };
        let lease = leased.lease;
        let webhook = leased.webhook.clone();
        let done = self.call(&app, target, leased, body).await;
        drop(permit);
        if let Next::Dead(reason) = done.next {
            tracing::warn!(
                namespace = &*webhook.namespace,
                webhook = &*webhook.name,
                delivery = %lease.delivery,
                ?reason,
                error = done.attempted.error.as_deref(),
                "a delivery was given up"
            );
        }
        let Some(settled) = self.record(lease, &done).await else {
            return Dispatched::StoreFailed;
        };
        // What came too late changed nothing: it is attempted again, and counted then.
        if let (Settled::Recorded, Some(meters)) = (settled, self.parts.routes.meters()) {
            count(meters, &webhook, done.next);
        }
        Dispatched::Ended { app: app.id, end: done.end }
    }

    /// Returns the body with the permit for its memory. Returns `None` when no memory became free in
    /// time, or the stored event is gone.
    async fn load_body(
        &self,
        app: &App,
        leased: &Leased,
        body: Body,
    ) -> Result<Option<(Bytes, Option<BodyPermit>)>, StoreError> {
        let len = match body {
            Body::Here(bytes) => return Ok(Some((bytes, None))),
            Body::Stored(len) => len,
        };
        let acquiring = self.body_budget.acquire(app.uuid, len);
        let Ok(permit) = timeout(BODY_MEMORY_TIMEOUT, acquiring).await else {
            return Ok(None);
        };
        let body = self.parts.store.body(leased.event).await?;
        if body.is_none() {
            tracing::warn!(event = %leased.event, "the event of a delivery is gone");
        }
        Ok(body.map(|body| (body, Some(permit))))
    }

    async fn call(&self, app: &App, target: &Target, mut leased: Leased, body: Bytes) -> Done {
        let webhook = leased.webhook.clone();
        let id = Id { app: app.uuid, webhook: webhook.uuid };
        let route = self.parts.routes.get(id).filter(|route| route.app.id == app.id);
        let subject = match &route {
            Some(route) => Subject::present(app, route),
            None => Subject::stored(app, &webhook),
        };
        let (started, clock) = ((self.parts.clock)(), Instant::now());
        let attempted = |took| Attempted {
            number: leased.attempt,
            started,
            took,
            status: None,
            error: None,
            answer: Bytes::new(),
        };
        let event = match event(&leased, body) {
            Ok(event) => event,
            Err(error) => return hopeless(attempted(Duration::ZERO), &error),
        };
        let headers = std::mem::take(&mut leased.headers);
        let attempt = Attempt { event: leased.event, number: leased.attempt };
        let mut span = self.parts.traces.resume(&headers, trace::NAME, trace::KIND);
        trace::begun(&mut span, subject, &webhook.name, target, attempt);
        let headers = delivery::listener_headers(subject, target, attempt, headers, span.context());
        let called = self.send(subject, target, headers, &event).await;
        trace::ended(span, &called);
        let (attempted, now) = (attempted(clock.elapsed()), (self.parts.clock)());
        if let Some(meters) = self.parts.routes.meters() {
            meters.apps.of(app.uuid).attempted(delivery::outcome(&called), attempted.took);
            meters.webhooks.of(id).attempted(called.is_ok(), now);
        }
        let policy = policy(app, route.as_deref(), &webhook);
        let chance = 2.0 * fastrand::f64() - 1.0;
        done(called, attempted, now, |outcome| {
            retry::decide(policy, outcome, leased.attempt, leased.begun(), now, chance)
        })
    }

    async fn send(
        &self,
        subject: Subject<'_>,
        target: &Target,
        headers: HeaderMap,
        event: &Event,
    ) -> Result<StatusCode, CallError> {
        let body = delivery::body(subject, event, &(self.parts.api)(subject.app));
        self.parts.caller.call(target, headers, body, subject.app.timeout).await
    }

    /// Writes what came of an attempt. What cannot be written now is written later: the call was made,
    /// and is not made again for that. `None` when the store has failed.
    async fn record(&self, lease: Lease, done: &Done) -> Option<Settled> {
        let mut failures = 0;
        loop {
            match self.parts.store.settle(lease, done.attempted.clone(), done.next).await {
                Ok(settled) => {
                    if settled == Settled::Stale {
                        tracing::debug!(delivery = %lease.delivery, "an answer came after its lease");
                    }
                    return Some(settled);
                }
                Err(StoreError::Failed(_)) => return None,
                Err(StoreError::Rejected(_)) => return Some(Settled::Stale),
                Err(_) => failures += 1,
            }
            sleep(backoff::delay(FIRST_WAIT, failures, LONGEST_WAIT)).await;
        }
    }
}

/// Counts what follows from an attempt.
fn count(meters: &Meters, webhook: &StoredWebhook, next: Next) {
    let counts = || meters.webhooks.of(Id { app: webhook.app.uuid, webhook: webhook.uuid });
    match next {
        Next::Succeeded => counts().delivered(),
        Next::Dead(reason) => counts().dead().count(reason.word(), 1),
        Next::Retry(_) => meters.apps.of(webhook.app.uuid).retried(),
    }
}

/// As the webhook says now, or has said last; else as the app says.
fn policy<'a>(app: &'a App, route: Option<&'a Route>, stored: &'a StoredWebhook) -> &'a Policy {
    let own = route.map_or(&stored.retry, |route| &route.binding.delivery.retry);
    own.as_deref().unwrap_or(&app.retry)
}

fn event(leased: &Leased, body: Bytes) -> Result<Event, EventError> {
    match leased.form {
        Form::Json => Ok(event::from_checked_json(body)),
        Form::Converted => {
            event::from_body(leased.content_type.as_ref().map(|value| value.as_bytes()), body)
        }
    }
}

/// There is nothing that could be sent. It was converted when it came: a later version of the program
/// must have become stricter.
fn hopeless(mut attempted: Attempted, error: &EventError) -> Done {
    attempted.error = Some(error.to_string().into());
    Done { attempted, next: Next::Dead(Reason::Rejected), end: End::Nothing }
}

/// What follows from a call. `now` is when it ended.
fn done(
    called: Result<StatusCode, CallError>,
    mut attempted: Attempted,
    now: Moment,
    decide: impl FnOnce(Outcome) -> Next,
) -> Done {
    let outcome = match &called {
        Ok(status) => Outcome::Answered { status: status.as_u16(), retry_after: None },
        Err(CallError::Refused(refusal)) => Outcome::Answered {
            status: refusal.status.as_u16(),
            retry_after: refusal.retry_after.as_ref().and_then(|v| retry::retry_after(v, now)),
        },
        Err(_) => Outcome::Failed,
    };
    if let Outcome::Answered { status, .. } = outcome {
        attempted.status = Some(status);
    }
    let end = match &called {
        Err(error) if retry::is_listener_failing(outcome) => End::Failing(error.to_string().into()),
        _ => End::Answered,
    };
    if let Err(error) = called {
        attempted.error = Some(error.to_string().into());
        if let CallError::Refused(refusal) = error {
            attempted.answer = refusal.body;
        }
    }
    Done { attempted, next: decide(outcome), end }
}
