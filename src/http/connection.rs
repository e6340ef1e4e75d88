//! Serves one connection: enforces its timeouts, and lets it finish when the server drains.

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

use super::activity::{Abuse, Activity, Deadline, ObservedStream, Timeouts};
use super::connections::Admitted;
use super::drain::{Drain, Phase};
use super::framing;
use super::limits::{
    BUFFER, CONNECTION_WINDOW, ERROR_RESETS, HEADERS, Limits, PENDING_RESETS, SEND_BUFFER,
    STREAM_WINDOW, STREAMS,
};
use super::opening::Protocol;
use super::service::{Peer, ResponseBody, Serve};

/// The time that a connection has to end after a graceful shutdown began.
const GRACE: Duration = Duration::from_secs(5);

/// Serves one connection until it ends.
pub async fn serve<B: ResponseBody>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    protocol: Protocol,
    admitted: &Admitted,
    service: impl Serve<B>,
    limits: &Limits,
    drain: &Drain,
) {
    let activity = Activity::begin(protocol);
    let io = TokioIo::new(ObservedStream::new(stream, activity.clone(), protocol));
    let counted = |request| {
        let in_flight = activity.request();
        if in_flight.is_first {
            admitted.record_request();
        }
        let response = framing::check(&request, in_flight.has_one_length)
            .map(|()| service.serve(request, peer));
        async move {
            let response = match response {
                Ok(response) => response.await,
                Err(error) => error.into_response_of(),
            };
            in_flight.answered();
            Ok::<_, Infallible>(response)
        }
    };
    match protocol {
        Protocol::Http1 => {
            let connection = http1(limits).serve_connection(io, service_fn(counted));
            drive(connection, &activity, limits, drain).await;
        }
        Protocol::Http2 => {
            // hyper keeps the request's future until its response is written. Boxed, it is freed
            // before.
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
        // This limit applies to responses that wait to be written as well as to reads.
        .max_buf_size(BUFFER.max(limits.header_bytes.saturating_add(8 * 1024)))
        // Responses are short: copying into one buffer is cheaper than a vectored write.
        .writev(false)
        // `Activity` replaces it, at less cost per request.
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

/// A connection that can be shut down gracefully.
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

/// Polls a connection until it ends, times out, or has drained.
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
        activity.begin_poll();
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
            // Several clients may share the connection behind a proxy: let their streams finish.
            Abuse::Some => {
                finishing = true;
                connection.as_mut().finish();
            }
            Abuse::Flood => return Poll::Ready(()),
        }
        // Announce the shutdown with a pending response. An idle connection stays open as long as
        // possible, because its client may be sending a request right now.
        if !finishing && phase.now(cx) == Phase::Stopping && activity.is_busy() {
            finishing = true;
            connection.as_mut().finish();
        }
        loop {
            match timer.as_mut().poll(cx, activity) {
                Expired::No => return Poll::Pending,
                // An incomplete head, an unread response, or an idle timeout during shutdown.
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

/// The timeout that has expired.
enum Expired {
    No,
    Head,
    Idle,
}

/// The single timer of a connection. It is rearmed only when it fires, or when a head begins.
struct Timer {
    sleep: Pin<Box<Sleep>>,
    armed: bool,
    limits: Timeouts,
}

impl Timer {
    fn new(limits: &Limits) -> Self {
        Self {
            sleep: Box::pin(tokio::time::sleep(limits.header_read)),
            armed: false,
            limits: Timeouts {
                header_read: limits.header_read,
                write: limits.body_read,
                keep_alive: limits.keep_alive,
            },
        }
    }

    /// Ends an idle connection after `grace` from now on.
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
            // One poll after each reset registers the waker; until then reading the clock suffices.
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
