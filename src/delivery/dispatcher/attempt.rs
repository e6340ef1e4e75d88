//! One attempt of a delivery: the call, the decision on what follows, and the record.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tokio::time::{sleep, timeout};

use super::body_budget::BodyPermit;
use super::schedule::AttemptResult;
use super::{TaskContext, TaskResult};
use crate::backoff;
use crate::delivery::{
    self, Attempt, AttemptContext, Call, CallError, CallReport, OutgoingEvent, ResponseBody,
    Subject, TransformError, Transformation, trace,
};
use crate::event::EventError;
use crate::moment::Moment;
use crate::retry::{self, Outcome, Policy};
use crate::routes::{App, Id, Meters, Route, Target};
use crate::store::{
    Attempted, Body, Content, DeadReason, INLINE_BODY_BYTES, Lease, Leased, Next, Settled,
    StoreError, StoredWebhook,
};

/// Added to the call's timeout to get the duration of the lease: the body is read before the call,
/// and the record is written after it.
pub const LEASE_SLACK: Duration = Duration::from_secs(30);

/// How long an attempt waits for the memory of its body.
const BODY_MEMORY_TIMEOUT: Duration = Duration::from_secs(15);

/// Delay before a failed write of a record is retried; it doubles up to the maximum.
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(100);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(10);

/// Input of an attempt.
pub struct AttemptJob {
    pub app: Arc<App>,
    pub leased: Leased,
    /// End of the lease.
    pub until: Moment,
}

/// The webhook of an attempt.
#[derive(Clone, Copy)]
struct CallJob<'a> {
    app: &'a App,
    target: &'a Target,
    /// Absent if the webhook was deleted.
    route: Option<&'a Route>,
}

impl<'a> CallJob<'a> {
    fn subject(self, leased: &'a Leased) -> Subject<'a> {
        match self.route {
            Some(route) => Subject::present(self.app, route),
            None => Subject::stored(self.app, &leased.webhook),
        }
    }
}

/// An event that is ready to be sent, or cannot be transformed, and the permit for its memory.
struct Prepared {
    outgoing: Result<OutgoingEvent, (OutgoingEvent, TransformError)>,
    permit: Option<BodyPermit>,
}

/// Result of a call, and what follows for the delivery and the schedule.
struct AttemptEvaluation {
    attempted: Attempted,
    next: Next,
    result: AttemptResult,
}

impl<C: Call> TaskContext<C> {
    /// Makes an attempt and records it.
    pub async fn attempt(&self, job: AttemptJob) -> TaskResult {
        let AttemptJob { app, mut leased, until } = job;
        let unsettled = TaskResult::Ended { app: app.id, result: AttemptResult::Unsettled(until) };
        // Deliveries are taken only for apps with a target, and this is the same immutable `App`.
        let Some(target) = &app.target else { return unsettled };
        let id = Id { app: app.uuid, webhook: leased.webhook.uuid };
        let route = self.parts.routes.get(id).filter(|route| route.app.id == app.id);
        let job = CallJob { app: &app, target, route: route.as_deref() };
        let prepared = match self.prepare(job, &mut leased).await {
            Ok(Some(prepared)) => prepared,
            Ok(None) => return unsettled,
            Err(StoreError::Failed(_)) => return TaskResult::StoreFailed,
            Err(_) => return unsettled,
        };
        let lease = leased.lease;
        let webhook = leased.webhook.clone();
        let evaluation = self.call(job, &leased, prepared.outgoing).await;
        drop(prepared.permit);
        if let Next::Dead(reason) = evaluation.next {
            tracing::warn!(
                namespace = &*webhook.namespace,
                webhook = &*webhook.name,
                delivery = %lease.delivery,
                ?reason,
                error = evaluation.attempted.error.as_deref(),
                "gave up a delivery"
            );
        }
        let Some(settled) = self.record(lease, &evaluation).await else {
            return TaskResult::StoreFailed;
        };
        // A record after the end of the lease has no effect: the delivery is attempted again and
        // counted then.
        if let (Settled::Recorded, Some(meters)) = (settled, self.parts.routes.meters()) {
            count(meters, &webhook, evaluation.next);
        }
        TaskResult::Ended { app: app.id, result: evaluation.result }
    }

    /// Loads the event and transforms it. Returns `None` when no memory became free in time, or the
    /// stored event is gone.
    async fn prepare(
        &self,
        job: CallJob<'_>,
        leased: &mut Leased,
    ) -> Result<Option<Prepared>, StoreError> {
        let headers = std::mem::take(&mut leased.headers);
        let transformation = match job.route {
            Some(route) => Transformation::of(route),
            None => Transformation::stored(&headers),
        };
        let mut room = match (&transformation, &leased.body) {
            (Some(_), Body::Stored(len)) => *len,
            _ => 0,
        };
        let (form, content_type) = (leased.form, leased.content_type.take());
        let content = Content { form, content_type, headers, body: Bytes::new() };
        let mut outgoing = OutgoingEvent::new(leased.event, content);
        loop {
            let Some((body, permit)) = self.load_body(job.app, leased, room).await? else {
                return Ok(None);
            };
            (outgoing.content.body, outgoing.event) = (body, None);
            let reserve = |len| len <= room.max(INLINE_BODY_BYTES);
            let applied = transformation.as_ref().map_or(Ok(()), |transformation| {
                let Subject { app, props, .. } = job.subject(leased);
                transformation.apply(app.envelope, props, &mut outgoing, reserve)
            });
            match applied {
                // Now the length is known. The memory of the body is returned while this waits for
                // more, so that two deliveries never wait for each other.
                Err(TransformError::NoMemory(len)) if len > room => {
                    (outgoing.content.body, outgoing.event) = (Bytes::new(), None);
                    room = len;
                }
                Err(TransformError::NoMemory(_)) => return Ok(None),
                Err(error) => {
                    return Ok(Some(Prepared { outgoing: Err((outgoing, error)), permit }));
                }
                Ok(()) => return Ok(Some(Prepared { outgoing: Ok(outgoing), permit })),
            }
        }
    }

    /// Returns the body with the permit for its memory and for `room` more bytes. Returns `None`
    /// when no memory became free in time, or the stored event is gone.
    async fn load_body(
        &self,
        app: &App,
        leased: &Leased,
        room: usize,
    ) -> Result<Option<(Bytes, Option<BodyPermit>)>, StoreError> {
        let stored = match &leased.body {
            Body::Here(bytes) if room == 0 => return Ok(Some((bytes.clone(), None))),
            Body::Here(_) => 0,
            Body::Stored(len) => *len,
        };
        let acquiring = self.body_budget.acquire(app.uuid, stored.saturating_add(room));
        let Ok(permit) = timeout(BODY_MEMORY_TIMEOUT, acquiring).await else {
            return Ok(None);
        };
        if let Body::Here(bytes) = &leased.body {
            return Ok(Some((bytes.clone(), Some(permit))));
        }
        let body = self.parts.queue.body(leased.event).await?;
        if body.is_none() {
            tracing::warn!(event = %leased.event, "the event of a delivery is missing");
        }
        Ok(body.map(|body| (body, Some(permit))))
    }

    async fn call(
        &self,
        job: CallJob<'_>,
        leased: &Leased,
        outgoing: Result<OutgoingEvent, (OutgoingEvent, TransformError)>,
    ) -> AttemptEvaluation {
        let (begun, number) = (leased.begun(), leased.attempt);
        let (subject, target) = (job.subject(leased), job.target);
        let policy = policy(job.app, job.route, &leased.webhook);
        let chance = 2.0 * fastrand::f64() - 1.0;
        let parts = &self.parts;
        let started = (parts.clock)();
        let span = |headers: &HeaderMap| parts.traces.resume(headers, trace::NAME, trace::KIND);
        let outgoing = match outgoing {
            Ok(outgoing) => outgoing,
            Err((outgoing, TransformError::Event(error))) => {
                span(&outgoing.content.headers).fail("invalid_event");
                return unconvertible(number, started, &error);
            }
            Err((outgoing, error)) => {
                span(&outgoing.content.headers).fail("transform_error");
                return untransformed(number, started, &error, |outcome| {
                    retry::decide(policy, outcome, number, begun, started, chance)
                });
            }
        };
        let context = AttemptContext {
            caller: &parts.caller,
            api: &*parts.api,
            meters: parts.routes.meters(),
        };
        let response = ResponseBody::Drop;
        let attempt = Attempt { subject, target, outgoing, number, started, response };
        let report = match delivery::attempt(context, attempt, span).await {
            Ok(report) => report,
            Err(error) => return unconvertible(number, started, &error),
        };
        let now = report.ended;
        evaluate(report, number, started, |outcome| {
            retry::decide(policy, outcome, number, begun, now, chance)
        })
    }

    /// Records an attempt. A failed write is retried: the call was made and must not be repeated
    /// because of it. Returns `None` when the store has failed permanently.
    async fn record(&self, lease: Lease, evaluation: &AttemptEvaluation) -> Option<Settled> {
        let mut failures = 0;
        loop {
            match self
                .parts
                .queue
                .settle(lease, evaluation.attempted.clone(), evaluation.next)
                .await
            {
                Ok(settled) => {
                    if settled == Settled::Stale {
                        tracing::debug!(
                            delivery = %lease.delivery,
                            "the attempt outlived its lease"
                        );
                    }
                    return Some(settled);
                }
                Err(StoreError::Failed(_)) => return None,
                Err(StoreError::Rejected(_)) => return Some(Settled::Stale),
                Err(_) => failures += 1,
            }
            sleep(backoff::delay(FIRST_RETRY_DELAY, failures, MAX_RETRY_DELAY)).await;
        }
    }
}

/// Counts the outcome of a recorded attempt.
fn count(meters: &Meters, webhook: &StoredWebhook, next: Next) {
    let counts = || meters.webhooks.of(Id { app: webhook.app.uuid, webhook: webhook.uuid });
    match next {
        Next::Succeeded => counts().delivered(),
        Next::Dead(reason) => counts().dead().count(reason, 1),
        Next::Retry(_) => meters.apps.of(webhook.app.uuid).retried(),
    }
}

/// The retry policy of the webhook's current spec, else of its last stored spec, else of the app.
fn policy<'a>(app: &'a App, route: Option<&'a Route>, stored: &'a StoredWebhook) -> &'a Policy {
    let own = route.map_or(&stored.retry, |route| &route.binding.delivery.retry);
    own.as_deref().unwrap_or(&app.retry)
}

/// The record of an attempt.
fn attempted(number: u32, started: Moment, took: Duration) -> Attempted {
    Attempted { number, started, took, status: None, error: None, answer: Bytes::new() }
}

/// The stored event cannot be converted for the app's envelope, so nothing can be sent, now or
/// later.
fn unconvertible(number: u32, started: Moment, error: &EventError) -> AttemptEvaluation {
    let mut attempted = attempted(number, started, Duration::ZERO);
    attempted.error = Some(error.to_string().into());
    let next = Next::Dead(DeadReason::Rejected);
    AttemptEvaluation { attempted, next, result: AttemptResult::NotSent }
}

/// The transform failed, so the listener is not called. This is retried, as the transform may be
/// corrected.
fn untransformed(
    number: u32,
    started: Moment,
    error: &TransformError,
    decide: impl FnOnce(Outcome) -> Next,
) -> AttemptEvaluation {
    let mut attempted = attempted(number, started, Duration::ZERO);
    attempted.error = Some(error.to_string().into());
    let next = decide(Outcome::TransformFailed);
    AttemptEvaluation { attempted, next, result: AttemptResult::NotSent }
}

/// Evaluates a call.
fn evaluate(
    report: CallReport,
    number: u32,
    started: Moment,
    decide: impl FnOnce(Outcome) -> Next,
) -> AttemptEvaluation {
    let CallReport { called, took, ended } = report;
    let mut attempted = attempted(number, started, took);
    let outcome = match &called {
        Ok(response) => Outcome::Answered { status: response.status.as_u16(), retry_after: None },
        Err(CallError::Refused(refusal)) => Outcome::Answered {
            status: refusal.status.as_u16(),
            retry_after: refusal.retry_after.as_ref().and_then(|v| retry::retry_after(v, ended)),
        },
        Err(_) => Outcome::Failed,
    };
    if let Outcome::Answered { status, .. } = outcome {
        attempted.status = Some(status);
    }
    let result = match &called {
        Err(error) if retry::is_listener_failing(outcome) => {
            AttemptResult::ListenerFailed(error.to_string().into())
        }
        _ => AttemptResult::Answered,
    };
    if let Err(error) = called {
        attempted.error = Some(error.to_string().into());
        if let CallError::Refused(refusal) = error {
            attempted.answer = refusal.body;
        }
    }
    AttemptEvaluation { attempted, next: decide(outcome), result }
}
