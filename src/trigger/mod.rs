//! The public pipeline: from an untrusted request to the listener's response, in a fixed order.
//!
//! path -> route -> suspended -> source -> budget of failed signatures -> bounded body -> unsigned
//! check of a provider -> signature -> rate limit -> handshake -> content decoding -> event ->
//! filter -> duplicate -> transform -> deliver or store. Nothing before the route allocates memory or takes a
//! lock.

mod body;
mod budget;
mod decoding;
mod event;
pub mod failures;
mod filter;
mod guards;
mod proof;
mod queue;
mod readers;
mod rejection;
mod success;
mod trace;
mod transform;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::EXPECT;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use uuid::Uuid;

pub use budget::Budget;
pub use failures::Failures;
pub use readers::Readers;
pub use success::OUTCOME;

use crate::coding::DecodeError;
use crate::delivery::{
    self, ApiFields, Attempt, AttemptContext, CallError, Caller, OutgoingEvent, ResponseBody,
    Subject,
};
use crate::http::{CLIENT_SHARE, Limits, Peer};
use crate::http::{Networks, client_address};
use crate::moment::Moment;
use crate::resources::DeliveryMode;
use crate::routes::path::{self, PathError};
use crate::routes::{AcceptedResponse, AppQuota, Route, RouteState, Table, TriggerOutcome};
use crate::store::{self, DuplicateKey, NewEvent, Queue};
use crate::traces::{Span, Traces};
use crate::verify::{Input, Verified};
use body::{BodyLimits, BodyReadError};
use decoding::{BodyDecodeError, CodedBody, Memory};
use event::{DecodedUse, TriggerEvent};
use rejection::Rejection;
use success::{Accepted, Success};

/// The `Retry-After` of transient errors.
const RETRY: Duration = Duration::from_secs(5);

/// The state that all triggers share.
#[derive(Debug)]
pub struct Shared {
    /// The table of webhooks.
    pub routes: Arc<Table>,
    /// The limits of a request.
    pub limits: Arc<Limits>,
    /// The memory budget of all bodies.
    pub budget: Arc<Budget>,
    /// Whether the server is shutting down.
    pub draining: Arc<AtomicBool>,
    /// The operator-wide limit of a body, in bytes.
    pub max_body_bytes: usize,
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Networks,
    /// The failed signatures per client.
    pub failures: Failures,
    /// The bodies in progress per client.
    pub readers: Readers,
    /// The start of external URLs, which some senders sign.
    pub external_url: String,
    /// The current time.
    pub clock: fn() -> Moment,
    /// The system clock, with which signature timestamps are compared.
    pub wall_clock: fn() -> Moment,
    /// Stores the events for asynchronous delivery.
    pub queue: Arc<dyn Queue>,
    /// The tracer of requests.
    pub traces: Traces,
}

/// The trigger pipeline of one runtime.
#[derive(Clone, Debug)]
pub struct Pipeline {
    shared: Arc<Shared>,
    api: Arc<ApiFields>,
    caller: Caller,
}

impl Pipeline {
    /// Creates a pipeline. Each runtime has its own `caller`, and so its own connections.
    pub fn new(shared: Arc<Shared>, api: Arc<ApiFields>, caller: Caller) -> Self {
        Self { shared, api, caller }
    }

    /// Handles one request of a connection from `peer`.
    pub async fn handle<B>(&self, request: Request<B>, peer: Peer) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes>,
    {
        let began = Instant::now();
        let (head, body) = request.into_parts();
        let mut span = None;
        let (route, answer) = match self.route(&head.method, head.uri.path()) {
            Ok(route) => {
                let span = span.insert(trace::receive(&self.shared.traces, &head, &route));
                (Some(route.clone()), self.trigger(route, head, body, peer, span).await)
            }
            Err(rejection) => (None, Err(rejection)),
        };
        let outcome = answer.as_ref().map_or_else(Rejection::outcome, Accepted::outcome);
        let wanted = route.as_ref().and_then(|route| route.binding.response.as_deref());
        let (mut response, event) = match answer {
            Ok(accepted) => accepted.into_response(wanted),
            Err(rejection) => rejection.into_response(),
        };
        if let Some(event) = event {
            response.headers_mut().insert(delivery::EVENT_ID, delivery::uuid_value(event));
        }
        self.count(route.as_deref(), outcome, response.status(), began);
        if let Some(span) = span {
            trace::answered(span, outcome, response.status(), event);
        }
        response
    }

    fn count(
        &self,
        route: Option<&Route>,
        outcome: TriggerOutcome,
        status: StatusCode,
        began: Instant,
    ) {
        let Some(meters) = self.shared.routes.meters() else { return };
        match route {
            Some(route) => {
                meters.webhooks.of(route.id()).triggered(outcome, (self.shared.clock)());
            }
            None => meters.unrouted.count(outcome),
        }
        meters.answered(status, began.elapsed());
    }

    async fn trigger<B>(
        &self,
        route: Arc<Route>,
        head: Parts,
        body: B,
        peer: Peer,
        span: &Span,
    ) -> Result<Accepted, Rejection>
    where
        B: Body<Data = Bytes>,
    {
        self.admit(&route)?;
        let client = guards::source(&route, peer, &head.headers, &self.shared.trusted_proxies)?;
        let failures = &self.shared.failures;
        proof::budget(&route, failures, client)?;
        if head.method != Method::POST {
            let body = CodedBody::new(&head.headers, Bytes::new());
            let input = self.input(&head, &body);
            return proof::before_events(&route, &input, failures, client)
                .map(Accepted::without_event);
        }
        let mut memory = self.enter(&route)?;
        let body = self.read(&route, &head.headers, peer, body, &mut memory).await?;
        let mut body = CodedBody::new(&head.headers, body);
        let input = self.input(&head, &body);
        if let Some(answer) = proof::unsigned_check(&route, &input) {
            return Ok(Accepted::without_event(Success::Answered(answer)));
        }
        if let Some(answer) = proof::challenge(&route, &input, failures, client)? {
            return Ok(Accepted::without_event(Success::Answered(answer)));
        }
        if proof::needs_decoded(&route) {
            let decoded = self.decode_unproved(&route, &mut body, &mut memory).await;
            decoded.inspect_err(|_| proof::count_failure(&route, failures, client))?;
        }
        let input = self.input(&head, &body);
        let verified = proof::check(&route, &input, failures, client, span)?;
        guards::rate(&route)?;
        if let Some(answer) = verified.as_ref().and_then(|verified| verified.challenge(&input)) {
            return Ok(Accepted::without_event(Success::Answered(answer)));
        }
        self.decode_proved(&route, verified.as_ref(), &mut body, &mut memory).await?;
        self.accept(&route, verified.as_ref(), head, body, memory, span).await
    }

    /// Handles a verified event.
    async fn accept(
        &self,
        route: &Arc<Route>,
        verified: Option<&Verified<'_>>,
        head: Parts,
        body: CodedBody,
        mut memory: Memory,
        span: &Span,
    ) -> Result<Accepted, Rejection> {
        let provider = verified.and_then(Verified::response);
        let event = TriggerEvent::new(route, verified, &head.headers, &body);
        event.convert_for(route.app.envelope)?;
        let now = (self.shared.clock)();
        let id = self.shared.queue.ids().next(now);
        let of_event = |rejection: Rejection| rejection.of_event(id);
        if !filter::passes(route, &head, &event, id).map_err(of_event)? {
            return Ok(Accepted { success: Success::FilteredOut(id), provider });
        }
        let success = if route.binding.delivery.mode == DeliveryMode::Sync {
            let mut outgoing = event.into_outgoing(id, route, verified, head);
            let mut take = |bytes| memory.take(bytes);
            transform::apply(route, &mut outgoing, &mut take).map_err(of_event)?;
            let response = match route.binding.response.as_deref() {
                Some(AcceptedResponse::Listener) => ResponseBody::Keep(&mut take),
                _ => ResponseBody::Drop,
            };
            self.deliver(route, outgoing, now, span, response).await
        } else {
            let input = self.input(&head, &body);
            let duplicate = queue::duplicate_key(route, verified, &input, &head, &event, id);
            let duplicate = duplicate.map_err(of_event)?;
            let mut outgoing = event.into_outgoing(id, route, verified, head);
            let checked = transform::check(route, &mut outgoing);
            self.store(route.clone(), outgoing, duplicate, checked, now, span).await
        };
        Ok(Accepted { success: success.map_err(of_event)?, provider })
    }

    fn route(&self, method: &Method, path: &str) -> Result<Arc<Route>, Rejection> {
        let not_allowed = Rejection::method_not_allowed;
        let is_trigger = method == Method::POST;
        let id = match path::parse(path) {
            Err(PathError::NotFound) => return Err(Rejection::not_found()),
            Err(PathError::InvalidUuid) if is_trigger => {
                return Err(Rejection::bad_request(
                    TriggerOutcome::InvalidUuid,
                    "The path has a malformed UUID.",
                ));
            }
            Err(PathError::InvalidUuid) => return Err(not_allowed()),
            Ok(id) => id,
        };
        let route = self.shared.routes.get(id);
        if is_trigger {
            return route.ok_or_else(Rejection::not_found);
        }
        // Handshakes and probes are allowed before the first trigger. For other webhooks a 405 does
        // not reveal whether the UUID exists.
        let is_asked = |route: &Arc<Route>| {
            let guards = route.binding.guards.as_deref();
            match *method {
                _ if route.binding.probes.include(method) => true,
                Method::GET => route.proof.is_some(),
                Method::OPTIONS => guards.is_some_and(|guards| !guards.origins.is_empty()),
                _ => false,
            }
        };
        route.filter(is_asked).ok_or_else(not_allowed)
    }

    fn input<'a>(&'a self, head: &'a Parts, body: &'a CodedBody) -> Input<'a> {
        Input {
            method: &head.method,
            headers: &head.headers,
            external_url: &self.shared.external_url,
            path_and_query: head.uri.path_and_query().map_or("/", |path| path.as_str()),
            body: &body.sent,
            decoded: body.decoded.as_deref(),
            now: (self.shared.wall_clock)().0 / 1000,
        }
    }

    fn admit(&self, route: &Route) -> Result<(), Rejection> {
        let refuse = |outcome, message| Err(Rejection::unavailable(outcome, message, RETRY));
        match route.state {
            RouteState::Suspended => refuse(TriggerOutcome::Suspended, "The webhook is suspended."),
            RouteState::NotReady => Err(not_ready()),
            RouteState::Serving if self.shared.draining.load(Ordering::Relaxed) => {
                refuse(TriggerOutcome::Draining, "The server is stopping.")
                    .map_err(Rejection::closing)
            }
            RouteState::Serving => Ok(()),
        }
    }

    fn enter(&self, route: &Route) -> Result<Memory, Rejection> {
        let limits = &self.shared.limits;
        // At most half of the total: one app must leave memory to the others.
        let share =
            AppQuota { in_flight: limits.in_flight_per_app, buffered: limits.buffered_bytes / 2 };
        let permit = route.app.load.enter(share).ok_or_else(overloaded)?;
        Ok(Memory { permit, reservation: self.shared.budget.account() })
    }

    /// The limit of a body, in bytes, encoded and decoded.
    fn body_limit(&self, route: &Route) -> usize {
        (route.binding.max_body_bytes as usize).min(self.shared.max_body_bytes)
    }

    /// Decodes a body for the verification of its signature. What cannot be decoded has no valid
    /// signature: the client learns nothing else, except that its body is too large.
    async fn decode_unproved(
        &self,
        route: &Route,
        body: &mut CodedBody,
        memory: &mut Memory,
    ) -> Result<(), Rejection> {
        match body.decode(self.body_limit(route), memory).await {
            Ok(())
            | Err(
                BodyDecodeError::Unsupported(_) | BodyDecodeError::Decode(DecodeError::Malformed),
            ) => Ok(()),
            Err(error) => Err(decoding::rejection(error)),
        }
    }

    /// Decodes a verified body as far as it is needed.
    async fn decode_proved(
        &self,
        route: &Route,
        verified: Option<&Verified<'_>>,
        body: &mut CodedBody,
        memory: &mut Memory,
    ) -> Result<(), Rejection> {
        match DecodedUse::of(route, verified) {
            DecodedUse::Event => {
                let decoded = body.decode(self.body_limit(route), memory).await;
                decoded.map_err(decoding::rejection)
            }
            // What cannot be decoded has no id.
            DecodedUse::DeliveryId => match body.decode(self.body_limit(route), memory).await {
                Err(BodyDecodeError::OverBudget) => Err(overloaded()),
                _ => Ok(()),
            },
            DecodedUse::Nothing => Ok(()),
        }
    }

    async fn read<B>(
        &self,
        route: &Route,
        headers: &HeaderMap,
        peer: Peer,
        body: B,
        memory: &mut Memory,
    ) -> Result<Bytes, Rejection>
    where
        B: Body<Data = Bytes>,
    {
        let bounds = BodyLimits {
            bytes: self.body_limit(route),
            time: self.shared.limits.body_read,
            sender_waits: headers.contains_key(EXPECT),
        };
        let take = |bytes| memory.take(bytes);
        let enter = || {
            let client = client_address(peer, headers, &self.shared.trusted_proxies);
            let share = (self.shared.limits.in_flight_per_app / CLIENT_SHARE).max(1);
            self.shared.readers.enter(route.app.uuid, client, share)
        };
        let bytes = readers::wait(body::read(body, bounds, take), enter).await;
        let bytes = bytes.ok_or_else(|| overloaded().closing())?;
        bytes.map_err(body_error)
    }

    /// Calls the listener, once.
    async fn deliver(
        &self,
        route: &Route,
        outgoing: OutgoingEvent,
        now: Moment,
        span: &Span,
        response: ResponseBody<'_>,
    ) -> Result<Success, Rejection> {
        let id = outgoing.id;
        // The planner gives each serving route a target.
        let Some(target) = &route.app.target else {
            return Err(not_ready());
        };
        let meters = self.shared.routes.meters();
        let context = AttemptContext { caller: &self.caller, api: &|app| self.api.of(app), meters };
        let subject = Subject::present(&route.app, route);
        let attempt = Attempt { subject, target, outgoing, number: 1, started: now, response };
        let begin = |_: &HeaderMap| span.child(delivery::trace::NAME, delivery::trace::KIND);
        // Boxed: hyper moves the future of each request several times, and this is most of it. It
        // saves 17 % of the instructions of a request.
        let report = Box::pin(delivery::attempt(context, attempt, begin)).await;
        // Cannot fail: the event was converted before, if its envelope needs that.
        let report = report.map_err(|_| not_ready())?;
        let called = report.called.map_err(|error| call_error(route, id, &error))?;
        if let Some(meters) = meters {
            meters.webhooks.of(route.id()).delivered();
        }
        Ok(Success::Delivered(id, called))
    }

    /// Stores the event, for attempts that belong to the trace of this request. If its transform
    /// fails, which `checked` tells, it is not stored, but may be a duplicate.
    async fn store(
        &self,
        route: Arc<Route>,
        outgoing: OutgoingEvent,
        duplicate: Option<DuplicateKey>,
        checked: Result<(), Rejection>,
        now: Moment,
        span: &Span,
    ) -> Result<Success, Rejection> {
        let OutgoingEvent { id, mut content, event: _, data: _ } = outgoing;
        let refusal = match checked {
            Err(rejection) if duplicate.is_none() => return Err(rejection),
            checked => checked.err(),
        };
        let is_refused = refusal.is_some();
        let mut span = trace::store(span, &route, id, content.body.len());
        span.context().put_in(&mut content.headers);
        let event = NewEvent { id, route, content, duplicate, is_refused, now };
        let stored = self.shared.queue.accept(event);
        let stored = stored.await.map_err(|error| queue::refused(&error));
        match stored.inspect_err(|rejection| span.fail(rejection.outcome().as_str()))? {
            store::Accepted::Stored => Ok(Success::Stored(id)),
            store::Accepted::Duplicate(first) => Ok(Success::Duplicate(first)),
            store::Accepted::Replayed(first) => Ok(Success::Replayed(first)),
            // Only an event with a refusal is refused.
            store::Accepted::Refused => Err(refusal.unwrap_or_else(not_ready)),
        }
    }
}

fn body_error(error: BodyReadError) -> Rejection {
    match error {
        BodyReadError::TooLarge => Rejection::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            TriggerOutcome::PayloadTooLarge,
            "The request body is too large for this webhook.",
        ),
        BodyReadError::TooSlow => Rejection::new(
            StatusCode::REQUEST_TIMEOUT,
            TriggerOutcome::RequestTimeout,
            "The request body did not arrive in time.",
        ),
        BodyReadError::Broken => Rejection::bad_request(
            TriggerOutcome::InvalidBody,
            "The request body is malformed or incomplete.",
        ),
        BodyReadError::OverBudget => overloaded(),
    }
    .closing()
}

fn overloaded() -> Rejection {
    Rejection::unavailable(
        TriggerOutcome::Overloaded,
        "The server is overloaded; try again later.",
        RETRY,
    )
}

fn not_ready() -> Rejection {
    Rejection::unavailable(TriggerOutcome::NotReady, "The webhook is not ready.", RETRY)
}

/// The response to a failed listener call. The cause is only logged.
fn call_error(route: &Route, id: Uuid, error: &CallError) -> Rejection {
    tracing::warn!(
        namespace = &*route.app.namespace,
        webhook = &*route.name,
        event = %id,
        %error,
        "listener call failed"
    );
    match error {
        CallError::Timeout(_) => Rejection::new(
            StatusCode::GATEWAY_TIMEOUT,
            TriggerOutcome::ListenerTimeout,
            "The listener did not answer in time.",
        ),
        CallError::NoEndpoints => Rejection::unavailable(
            TriggerOutcome::ListenerUnavailable,
            "The listener has no ready endpoint.",
            RETRY,
        ),
        CallError::NoMemory => overloaded(),
        CallError::Connect(_)
        | CallError::Http(_)
        | CallError::Refused(_)
        | CallError::ResponseTooLarge => Rejection::new(
            StatusCode::BAD_GATEWAY,
            TriggerOutcome::ListenerError,
            "The listener failed.",
        ),
    }
}
