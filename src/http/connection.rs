//! One connection: serve it, end it when it idles or trickles, let it finish when the server drains.

use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;

use super::activity::{Abuse, Activity, Deadline, Observed, Patience};
use super::connections::Admitted;
use super::drain::{Drain, Phase};
use super::framing;
use super::limits::{
    BUFFER, CONNECTION_WINDOW, ERROR_RESETS, HEADERS, Limits, PENDING_RESETS, SEND_BUFFER,
    STREAM_WINDOW, STREAMS,
};
use super::opening::Protocol;
use super::service::{Answer, Peer, Serve};

/// How long a connection that was asked to end may take to do so.
const GRACE: Duration = Duration::from_secs(5);

/// Serves one connection to its end.
pub async fn serve<B: Answer>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    protocol: Protocol,
    admitted: &Admitted,
    service: impl Serve<B>,
    limits: &Limits,
    drain: &Drain,
) {
    let activity = Activity::begin(protocol);
    let io = TokioIo::new(Observed::new(stream, activity.clone(), protocol));
    let counted = |request| {
        let under_way = activity.request();
        if under_way.is_first {
            admitted.has_request();
        }
        let response = framing::check(&request, under_way.has_one_length)
            .map(|()| service.serve(request, peer));
        async move {
            let response = match response {
                Ok(response) => response.await,
                Err(error) => error.into_response_of(),
            };
            under_way.answered();
            Ok::<_, Infallible>(response)
        }
    };
    match protocol {
        Protocol::Http1 => {
            let connection = http1(limits).serve_connection(io, service_fn(counted));
            drive(connection, &activity, limits, drain).await;
        }
        Protocol::Http2 => {
            // hyper keeps the request's future until its answer is read. In a box it is gone by then.
            let boxed = service_fn(|request| -> Pin<Box<dyn Future<Output = _> + Send>> {
                Box::pin(counted(request))
            });
            let connection = http2(limits).serve_connection(io, boxed);
            drive(connection, &activity, limits, drain).await;
        }
    }
}

fn http1(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .max_headers(HEADERS)
        .max_header_size(limits.header_bytes)
        // It bounds answers that wait to be written as well as what is read.
        .max_buf_size(BUFFER.max(limits.header_bytes.saturating_add(8 * 1024)))
        // Answers are short: one buffer costs less than a list of two.
        .writev(false)
        // Activity does this, at less cost for each request.
        .header_read_timeout(None);
    builder
}

fn http2(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(ERROR_RESETS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX));
    builder
}

/// A connection that can be told to take no further request.
trait Graceful: Future {
    fn finish(self: Pin<&mut Self>);
}

impl<I, B, S> Graceful for http1::Connection<I, S>
where
    Self: Future,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, B, S, E> Graceful for http2::Connection<I, S, E>
where
    Self: Future,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    E: hyper::rt::bounds::Http2ServerConnExec<S::Future, B>,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Polls a connection until it ends by itself, runs out of time, or has drained.
async fn drive<C: Graceful>(
    connection: C,
    activity: &Arc<Activity>,
    limits: &Limits,
    drain: &Drain,
) {
    let mut connection = pin!(connection);
    let mut timer = pin!(Timer::new(limits));
    let mut phase = drain.watch();
    let mut finishing = false;
    poll_fn(|cx| {
        activity.begin_turn();
        if !finishing && phase.now(cx) == Phase::Closing {
            finishing = true;
            connection.as_mut().finish();
        }
        if connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match activity.abuse() {
            Abuse::None => {}
            Abuse::Some if finishing => {}
            // Streams that others are waiting for, behind the same proxy, still end.
            Abuse::Some => {
                finishing = true;
                connection.as_mut().finish();
            }
            Abuse::Flood => return Poll::Ready(()),
        }
        // While an answer is due, the end can be announced with it. An idle connection is left
        // alone as long as that can be: its client may be sending at this very moment.
        if !finishing && phase.now(cx) == Phase::Stopping && activity.is_busy() {
            finishing = true;
            connection.as_mut().finish();
        }
        loop {
            match timer.as_mut().poll(cx, activity) {
                Expired::No => return Poll::Pending,
                // A head that does not end, an answer that is not read, or a second time idle.
                Expired::Head => return Poll::Ready(()),
                Expired::Idle if finishing => return Poll::Ready(()),
                Expired::Idle => {
                    finishing = true;
                    connection.as_mut().finish();
                    timer.as_mut().allow(GRACE);
                    if connection.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(());
                    }
                }
            }
        }
    })
    .await;
}

/// What a connection ran out of.
enum Expired {
    No,
    Head,
    Idle,
}

/// The one timer of a connection. It is moved only when it fires, or when headers begin.
struct Timer {
    sleep: Pin<Box<Sleep>>,
    armed: bool,
    limits: Patience,
}

impl Timer {
    fn new(limits: &Limits) -> Self {
        Self {
            sleep: Box::pin(tokio::time::sleep(limits.header_read)),
            armed: false,
            limits: Patience {
                header_read: limits.header_read,
                write: limits.body_read,
                keep_alive: limits.keep_alive,
            },
        }
    }

    /// From now on, ends an idle connection after `grace`.
    fn allow(mut self: Pin<&mut Self>, grace: Duration) {
        self.reset(Instant::now() + grace);
        self.limits.keep_alive = self.limits.keep_alive.saturating_add(grace);
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>, activity: &Activity) -> Expired {
        loop {
            let deadline = activity.deadline(self.limits);
            if let Deadline::Head(at) | Deadline::Write(at) = deadline
                && at < self.sleep.deadline().into_std()
            {
                self.reset(at);
            }
            // Polled once after each reset, it wakes this task; until then a look is enough.
            if self.armed && !self.sleep.is_elapsed() {
                return Expired::No;
            }
            self.armed = true;
            if self.sleep.as_mut().poll(cx).is_pending() {
                return Expired::No;
            }
            let now = Instant::now();
            let next = match deadline {
                Deadline::Head(at) | Deadline::Write(at) if at <= now => return Expired::Head,
                Deadline::Idle(at) if at <= now => return Expired::Idle,
                Deadline::Head(at) | Deadline::Write(at) | Deadline::Idle(at) => at,
                Deadline::Busy => now + self.limits.header_read,
            };
            self.reset(next);
        }
    }

    fn reset(&mut self, at: Instant) {
        self.sleep.as_mut().reset(at.into());
        self.armed = false;
    }
}
