//! The activity of a connection, from which a single timer detects timeouts.
//!
//! hyper's own header timer allocates and arms a timer for each request. Here a request costs a few
//! atomic stores, and the connection's single timer reads them when it fires.
//!
//! In HTTP/1, bytes between requests are the start of a request head. In HTTP/2 they may also be a
//! PING or SETTINGS frame, and the heads of several streams may be in progress. An HTTP/2
//! connection therefore counts as idle until the service has a request, and the idle timeout bounds
//! unfinished heads.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::Frames;
use super::framing::Lengths;
use super::limits::{BYTES_PER_POLL, IDLE_FRAMES, RESETS};
use super::opening::Protocol;

/// The state of one connection. Times are in milliseconds since the connection began.
#[derive(Debug)]
pub struct Activity {
    began: Instant,
    in_flight: AtomicU32,
    /// The start of the head that is being read; [`NOT_READING`] between requests.
    head_since: AtomicU64,
    /// The end of the last request.
    idle_since: AtomicU64,
    /// The number of requests whose head has been read.
    requests: AtomicU32,
    /// The number of the first HTTP/1 request with more than one length; [`NONE`] if there is none.
    ambiguous: AtomicU32,
    /// The time since which writes have been blocked; [`NOT_READING`] while they are not.
    blocked_since: AtomicU64,
    /// Requests that the client reset, minus the requests that were answered.
    resets: AtomicU32,
    /// HTTP/2 frames since the last response that carry no request.
    idle_frames: AtomicU32,
    /// HTTP/2 bytes that were read since the connection's task was last woken.
    poll_bytes: AtomicU64,
}

const NONE: u32 = u32::MAX;

const NOT_READING: u64 = u64::MAX;

/// The timeouts of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For reading the head of a request.
    pub header_read: Duration,
    /// For the client to accept some of the written bytes.
    pub write: Duration,
    /// For the next request.
    pub keep_alive: Duration,
}

/// Whether an HTTP/2 client causes work without sending requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abuse {
    /// It does not.
    None,
    /// Enough to close the connection gracefully.
    Some,
    /// Enough to close the connection immediately.
    Flood,
}

/// The next timeout of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// The head of a request is incomplete.
    Head(Instant),
    /// The client does not accept written bytes.
    Write(Instant),
    /// The connection is idle.
    Idle(Instant),
    /// A request is in flight, which has its own limits.
    Busy,
}

impl Activity {
    /// A new connection. In HTTP/1 its first head is timed from now; in HTTP/2 it is idle.
    pub fn begin(protocol: Protocol) -> Arc<Self> {
        let head_since = match protocol {
            Protocol::Http1 => 0,
            Protocol::Http2 => NOT_READING,
        };
        Arc::new(Self {
            began: Instant::now(),
            in_flight: AtomicU32::new(0),
            head_since: AtomicU64::new(head_since),
            idle_since: AtomicU64::new(0),
            requests: AtomicU32::new(0),
            ambiguous: AtomicU32::new(NONE),
            blocked_since: AtomicU64::new(NOT_READING),
            resets: AtomicU32::new(0),
            idle_frames: AtomicU32::new(0),
            poll_bytes: AtomicU64::new(0),
        })
    }

    /// Records a request whose head was read. The request ends when the guard is dropped.
    pub fn request(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.head_since.store(NOT_READING, Ordering::Relaxed);
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let has_one_length = number < self.ambiguous.load(Ordering::Relaxed);
        InFlight {
            activity: Arc::clone(self),
            has_one_length,
            is_first: number == 0,
            is_answered: false,
        }
    }

    /// Whether a request is in flight.
    pub fn is_busy(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    /// The next timeout of this connection.
    pub fn deadline(&self, timeouts: Timeouts) -> Deadline {
        let Timeouts { header_read, write, keep_alive } = timeouts;
        let at = |millis| self.began + Duration::from_millis(millis);
        let blocked_since = self.blocked_since.load(Ordering::Relaxed);
        if blocked_since != NOT_READING {
            return Deadline::Write(at(blocked_since) + write);
        }
        if self.is_busy() {
            return Deadline::Busy;
        }
        match self.head_since.load(Ordering::Relaxed) {
            NOT_READING => Deadline::Idle(at(self.idle_since.load(Ordering::Relaxed)) + keep_alive),
            since => Deadline::Head(at(since) + header_read),
        }
    }

    /// Records that the connection's task is polled.
    pub fn begin_poll(&self) {
        self.poll_bytes.store(0, Ordering::Relaxed);
    }

    /// Whether the client abuses the connection.
    pub fn abuse(&self) -> Abuse {
        let resets = self.resets.load(Ordering::Relaxed);
        if resets > 2 * RESETS || self.idle_frames.load(Ordering::Relaxed) > IDLE_FRAMES {
            return Abuse::Flood;
        }
        if resets > RESETS { Abuse::Some } else { Abuse::None }
    }

    fn record_frames(&self, bytes: usize, idle: u32) {
        self.poll_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.idle_frames.fetch_add(idle, Ordering::Relaxed);
    }

    fn is_blocked(&self) -> bool {
        self.blocked_since.load(Ordering::Relaxed) != NOT_READING
    }

    fn record_write(&self, is_blocked: bool, cx: &Context<'_>) {
        if is_blocked == self.is_blocked() {
            return;
        }
        let since = if is_blocked { self.now() } else { NOT_READING };
        self.blocked_since.store(since, Ordering::Relaxed);
        if !is_blocked {
            // Reads were paused while writes were blocked.
            cx.waker().wake_by_ref();
        }
    }

    fn record_bytes(&self) {
        if !self.is_busy() && self.head_since.load(Ordering::Relaxed) == NOT_READING {
            self.head_since.store(self.now(), Ordering::Relaxed);
        }
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }
}

/// A request in flight.
#[derive(Debug)]
pub struct InFlight {
    activity: Arc<Activity>,
    /// Whether its head has at most one length, see [`super::framing`].
    pub has_one_length: bool,
    /// Whether it is the first of its connection.
    pub is_first: bool,
    is_answered: bool,
}

impl InFlight {
    /// Ends the request with a response. A guard that is dropped without this counts as a reset:
    /// the client cancelled the request, or the connection broke.
    pub fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let Self { activity, is_answered, .. } = self;
        let resets = activity.resets.load(Ordering::Relaxed);
        match is_answered {
            true => {
                activity.resets.store(resets.saturating_sub(1), Ordering::Relaxed);
                activity.idle_frames.store(0, Ordering::Relaxed);
            }
            false => drop(activity.resets.fetch_add(1, Ordering::Relaxed)),
        }
        activity.idle_since.store(activity.now(), Ordering::Relaxed);
        activity.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The parser that observes the bytes.
#[derive(Debug)]
enum ByteObserver {
    Http1(Lengths),
    Http2(Frames),
}

/// A stream that reports its reads to an [`Activity`].
#[derive(Debug)]
pub struct ObservedStream<S> {
    stream: S,
    activity: Arc<Activity>,
    observer: ByteObserver,
}

impl<S> ObservedStream<S> {
    /// Wraps a stream.
    pub fn new(stream: S, activity: Arc<Activity>, protocol: Protocol) -> Self {
        let observer = match protocol {
            Protocol::Http1 => ByteObserver::Http1(Lengths::default()),
            Protocol::Http2 => ByteObserver::Http2(Frames::default()),
        };
        Self { stream, activity, observer }
    }

    fn observe(&mut self, bytes: &[u8]) {
        let Self { activity, observer, .. } = self;
        match observer {
            ByteObserver::Http1(lengths) => {
                activity.record_bytes();
                if let Some(number) = lengths.read(bytes) {
                    activity.ambiguous.store(number, Ordering::Relaxed);
                }
            }
            ByteObserver::Http2(frames) => activity.record_frames(bytes.len(), frames.read(bytes)),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ObservedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // A client that does not read responses gets no further requests read. The blocked write
        // wakes the task.
        if self.activity.is_blocked() {
            return Poll::Pending;
        }
        // Yield after a fixed number of bytes, so that the thread's other connections make
        // progress.
        if self.activity.poll_bytes.load(Ordering::Relaxed) >= BYTES_PER_POLL {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.observe(&buf.filled()[before..]);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ObservedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.activity.record_write(written.is_pending(), cx);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.activity.record_write(written.is_pending(), cx);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = Pin::new(&mut self.stream).poll_flush(cx);
        self.activity.record_write(written.is_pending(), cx);
        written
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Timeouts = Timeouts {
        header_read: Duration::from_secs(10),
        write: Duration::from_secs(30),
        keep_alive: Duration::from_secs(75),
    };

    #[test]
    fn a_connection_awaits_headers_then_works_then_idles_then_reads_headers_again() {
        let activity = Activity::begin(Protocol::Http1);
        assert!(matches!(activity.deadline(PATIENCE), Deadline::Head(_)));
        let request = activity.request();
        activity.record_bytes();
        assert_eq!(activity.deadline(PATIENCE), Deadline::Busy);
        drop(request);
        assert!(matches!(activity.deadline(PATIENCE), Deadline::Idle(_)));
        activity.record_bytes();
        assert!(matches!(activity.deadline(PATIENCE), Deadline::Head(_)));
    }

    #[tokio::test]
    async fn in_http_2_bytes_between_requests_begin_no_headers() {
        let activity = Activity::begin(Protocol::Http2);
        let ping: &[u8] = b"\0\0\x08\x06\0\0\0\0\0\x01\x02\x03\x04\x05\x06\x07\x08";
        let mut stream = ObservedStream::new(ping, activity.clone(), Protocol::Http2);
        tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 64]).await.unwrap();
        assert!(matches!(activity.deadline(PATIENCE), Deadline::Idle(_)));
        let request = activity.request();
        assert_eq!(activity.deadline(PATIENCE), Deadline::Busy);
        drop(request);
        assert!(matches!(activity.deadline(PATIENCE), Deadline::Idle(_)));
    }

    #[tokio::test]
    async fn an_answer_that_the_client_does_not_take_has_a_deadline_while_it_is_not_taken() {
        let (ours, mut theirs) = tokio::io::duplex(8);
        let activity = Activity::begin(Protocol::Http1);
        let mut stream = ObservedStream::new(ours, activity.clone(), Protocol::Http1);
        let request = activity.request();
        let mut write = |bytes: &[u8]| {
            let mut cx = Context::from_waker(std::task::Waker::noop());
            Pin::new(&mut stream).poll_write(&mut cx, bytes).is_ready()
        };
        assert!(write(&[0; 8]) && !write(&[0; 8]));
        assert!(matches!(activity.deadline(PATIENCE), Deadline::Write(_)) && activity.is_blocked());
        tokio::io::AsyncReadExt::read(&mut theirs, &mut [0; 4]).await.unwrap();
        assert!(write(&[0; 4]));
        assert_eq!(activity.deadline(PATIENCE), Deadline::Busy);
        request.answered();
    }

    #[test]
    fn resets_and_frames_without_answers_are_abuse() {
        let activity = Activity::begin(Protocol::Http2);
        (0..RESETS).for_each(|_| drop(activity.request()));
        assert_eq!(activity.abuse(), Abuse::None);
        activity.request().answered();
        drop(activity.request());
        assert_eq!(activity.abuse(), Abuse::None, "an answer makes up for a reset");
        drop(activity.request());
        assert_eq!(activity.abuse(), Abuse::Some);
        (0..RESETS).for_each(|_| drop(activity.request()));
        assert_eq!(activity.abuse(), Abuse::Flood);

        let activity = Activity::begin(Protocol::Http2);
        activity.record_frames(1, IDLE_FRAMES);
        activity.request().answered();
        activity.record_frames(1, IDLE_FRAMES);
        assert_eq!(activity.abuse(), Abuse::None);
        activity.record_frames(1, 1);
        assert_eq!(activity.abuse(), Abuse::Flood);
    }

    #[tokio::test]
    async fn a_connection_that_floods_waits_for_its_next_turn() {
        let activity = Activity::begin(Protocol::Http2);
        let mut stream =
            ObservedStream::new(tokio::io::repeat(0), activity.clone(), Protocol::Http2);
        let mut read = || {
            let mut space = [0; 1024];
            let mut cx = Context::from_waker(std::task::Waker::noop());
            Pin::new(&mut stream).poll_read(&mut cx, &mut ReadBuf::new(&mut space)).is_ready()
        };
        assert_eq!((0..100).filter(|_| read()).count() as u64, BYTES_PER_POLL / 1024);
        activity.begin_poll();
        assert!(read());
    }
}
