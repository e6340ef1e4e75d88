//! What a connection is doing, so that one timer tells when it has done nothing for too long.
//!
//! hyper's own header timer allocates and arms a timer for each request. Here a request costs a
//! few stores, and the connection's single timer looks at them when it fires.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::framing::Lengths;
use super::opening::Protocol;

/// The state of one connection. Times are milliseconds since the connection began.
#[derive(Debug)]
pub struct Activity {
    began: Instant,
    /// HTTP/2: bytes that come between requests are frames such as PING, not the beginning of headers.
    is_multiplexed: bool,
    in_flight: AtomicU32,
    /// When the headers that are being read began; [`NOT_READING`] between requests.
    head_since: AtomicU64,
    /// When the last request ended.
    idle_since: AtomicU64,
    /// Requests whose headers were read.
    requests: AtomicU32,
    /// The number of the first request of HTTP/1 that has more than one length; [`NONE`] while there is none.
    ambiguous: AtomicU32,
}

const NONE: u32 = u32::MAX;

const NOT_READING: u64 = u64::MAX;

/// When a connection has to be looked at again, and what it has run out of by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// Headers that do not end.
    Head(Instant),
    /// Nothing was asked.
    Idle(Instant),
    /// A request is under way, which has limits of its own.
    Busy,
}

impl Activity {
    /// A connection that has just begun: its first headers are awaited.
    pub fn begin(protocol: Protocol) -> Arc<Self> {
        let is_multiplexed = protocol == Protocol::Http2;
        Arc::new(Self {
            began: Instant::now(),
            is_multiplexed,
            in_flight: AtomicU32::new(0),
            head_since: AtomicU64::new(0),
            idle_since: AtomicU64::new(0),
            requests: AtomicU32::new(0),
            ambiguous: AtomicU32::new(NONE),
        })
    }

    /// A request's headers were read; it ends when the guard is dropped.
    pub fn request(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.head_since.store(NOT_READING, Ordering::Relaxed);
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let has_one_length = number < self.ambiguous.load(Ordering::Relaxed);
        InFlight { activity: Arc::clone(self), has_one_length }
    }

    /// Whether no request was made yet.
    pub fn is_first(&self) -> bool {
        self.requests.load(Ordering::Relaxed) == 0
    }

    /// Whether a request is under way.
    pub fn is_busy(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    /// When this connection runs out of what.
    pub fn deadline(&self, header_read: Duration, keep_alive: Duration) -> Deadline {
        let at = |millis| self.began + Duration::from_millis(millis);
        if self.is_busy() {
            return Deadline::Busy;
        }
        match self.head_since.load(Ordering::Relaxed) {
            NOT_READING => Deadline::Idle(at(self.idle_since.load(Ordering::Relaxed)) + keep_alive),
            // The end of an HTTP/2 connection is announced, so that its client can go on elsewhere.
            since if self.is_multiplexed => Deadline::Idle(at(since) + header_read),
            since => Deadline::Head(at(since) + header_read),
        }
    }

    fn bytes_came(&self) {
        if !self.is_multiplexed
            && !self.is_busy()
            && self.head_since.load(Ordering::Relaxed) == NOT_READING
        {
            self.head_since.store(self.now(), Ordering::Relaxed);
        }
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }
}

/// A request under way.
#[derive(Debug)]
pub struct InFlight {
    activity: Arc<Activity>,
    /// Whether its head has at most one length, see [`super::framing`].
    pub has_one_length: bool,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let Self { activity, .. } = self;
        activity.idle_since.store(activity.now(), Ordering::Relaxed);
        activity.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream that reports its reads to an [`Activity`].
#[derive(Debug)]
pub struct Observed<S> {
    stream: S,
    activity: Arc<Activity>,
    /// Of HTTP/1.
    lengths: Option<Lengths>,
}

impl<S> Observed<S> {
    /// Watches a stream.
    pub fn new(stream: S, activity: Arc<Activity>, protocol: Protocol) -> Self {
        let lengths = (protocol == Protocol::Http1).then(Lengths::default);
        Self { stream, activity, lengths }
    }

    fn came(&mut self, bytes: &[u8]) {
        self.activity.bytes_came();
        if let Some(number) = self.lengths.as_mut().and_then(|lengths| lengths.read(bytes)) {
            self.activity.ambiguous.store(number, Ordering::Relaxed);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Observed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.came(&buf.filled()[before..]);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Observed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(75);

    #[test]
    fn a_connection_awaits_headers_then_works_then_idles_then_reads_headers_again() {
        let activity = Activity::begin(Protocol::Http1);
        assert!(matches!(activity.deadline(HEAD, IDLE), Deadline::Head(_)));
        let request = activity.request();
        activity.bytes_came();
        assert_eq!(activity.deadline(HEAD, IDLE), Deadline::Busy);
        drop(request);
        assert!(matches!(activity.deadline(HEAD, IDLE), Deadline::Idle(_)));
        activity.bytes_came();
        assert!(matches!(activity.deadline(HEAD, IDLE), Deadline::Head(_)));
    }

    #[test]
    fn frames_between_the_requests_of_http_2_are_no_headers_and_its_end_is_announced() {
        let activity = Activity::begin(Protocol::Http2);
        let first = activity.deadline(HEAD, IDLE);
        assert_eq!(first, Deadline::Idle(activity.began + HEAD), "a first request is due");
        drop(activity.request());
        activity.bytes_came();
        let Deadline::Idle(at) = activity.deadline(HEAD, IDLE) else { panic!("not idle") };
        assert!(at >= activity.began + IDLE);
    }
}
