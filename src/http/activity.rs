//! What a connection is doing, so that one timer tells when it has done nothing for too long.
//!
//! hyper's own header timer allocates and arms a timer for each request. Here a request costs a
//! few stores, and the connection's single timer looks at them when it fires.
//!
//! In HTTP/1, bytes between requests are the beginning of a head. In HTTP/2 they may be a PING or a SETTINGS as well,
//! and heads of several streams may be under way; there a connection is idle until the service has a request, and
//! heads that do not end are bounded by the time that a connection may idle.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::Frames;
use super::framing::Lengths;
use super::limits::{BYTES_A_TURN, IDLE_FRAMES, RESETS};
use super::opening::Protocol;

/// The state of one connection. Times are milliseconds since the connection began.
#[derive(Debug)]
pub struct Activity {
    began: Instant,
    in_flight: AtomicU32,
    /// When the headers that are being read began; [`NOT_READING`] between requests.
    head_since: AtomicU64,
    /// When the last request ended.
    idle_since: AtomicU64,
    /// Requests whose headers were read.
    requests: AtomicU32,
    /// The number of the first request of HTTP/1 that has more than one length; [`NONE`] while there is none.
    ambiguous: AtomicU32,
    /// Since when the client has not taken what is written; [`NOT_READING`] while it does.
    blocked_since: AtomicU64,
    /// Requests that the client has reset, less those that were answered.
    resets: AtomicU32,
    /// Frames of HTTP/2 that ask for nothing, since the last answer.
    idle_frames: AtomicU32,
    /// Bytes of HTTP/2 that were read since the connection's task was last woken.
    turn_bytes: AtomicU64,
}

const NONE: u32 = u32::MAX;

const NOT_READING: u64 = u64::MAX;

/// How long a connection may take for what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the headers of a request.
    pub header_read: Duration,
    /// Until the client takes at least some of what is written.
    pub write: Duration,
    /// Between requests.
    pub keep_alive: Duration,
}

/// Whether a client of HTTP/2 makes work without asking for anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abuse {
    /// It does not.
    None,
    /// So much that the connection should end.
    Some,
    /// So much that it has to be cut.
    Flood,
}

/// When a connection has to be looked at again, and what it has run out of by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// Headers that do not end.
    Head(Instant),
    /// Bytes that the client does not take.
    Write(Instant),
    /// Nothing was asked.
    Idle(Instant),
    /// A request is under way, which has limits of its own.
    Busy,
}

impl Activity {
    /// A connection that has just begun: its first headers are awaited, or, in HTTP/2, its first stream.
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
            turn_bytes: AtomicU64::new(0),
        })
    }

    /// A request's headers were read; it ends when the guard is dropped.
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

    /// Whether a request is under way.
    pub fn is_busy(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    /// When this connection runs out of what.
    pub fn deadline(&self, patience: Patience) -> Deadline {
        let Patience { header_read, write, keep_alive } = patience;
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

    /// The connection's task has its turn.
    pub fn begin_turn(&self) {
        self.turn_bytes.store(0, Ordering::Relaxed);
    }

    /// What is to be thought of the client.
    pub fn abuse(&self) -> Abuse {
        let resets = self.resets.load(Ordering::Relaxed);
        if resets > 2 * RESETS || self.idle_frames.load(Ordering::Relaxed) > IDLE_FRAMES {
            return Abuse::Flood;
        }
        if resets > RESETS { Abuse::Some } else { Abuse::None }
    }

    fn frames_came(&self, bytes: usize, idle: u32) {
        self.turn_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.idle_frames.fetch_add(idle, Ordering::Relaxed);
    }

    fn is_blocked(&self) -> bool {
        self.blocked_since.load(Ordering::Relaxed) != NOT_READING
    }

    fn wrote(&self, is_blocked: bool, cx: &Context<'_>) {
        if is_blocked == self.is_blocked() {
            return;
        }
        let since = if is_blocked { self.now() } else { NOT_READING };
        self.blocked_since.store(since, Ordering::Relaxed);
        if !is_blocked {
            // What was not read meanwhile is read again.
            cx.waker().wake_by_ref();
        }
    }

    fn bytes_came(&self) {
        if !self.is_busy() && self.head_since.load(Ordering::Relaxed) == NOT_READING {
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
    /// Whether it is the first of its connection.
    pub is_first: bool,
    is_answered: bool,
}

impl InFlight {
    /// It ends with an answer. One that is dropped without was reset, or its connection broke.
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

/// What is looked for in the bytes.
#[derive(Debug)]
enum Seen {
    Http1(Lengths),
    Http2(Frames),
}

/// A stream that reports its reads to an [`Activity`].
#[derive(Debug)]
pub struct Observed<S> {
    stream: S,
    activity: Arc<Activity>,
    seen: Seen,
}

impl<S> Observed<S> {
    /// Watches a stream.
    pub fn new(stream: S, activity: Arc<Activity>, protocol: Protocol) -> Self {
        let seen = match protocol {
            Protocol::Http1 => Seen::Http1(Lengths::default()),
            Protocol::Http2 => Seen::Http2(Frames::default()),
        };
        Self { stream, activity, seen }
    }

    fn came(&mut self, bytes: &[u8]) {
        let Self { activity, seen, .. } = self;
        match seen {
            Seen::Http1(lengths) => {
                activity.bytes_came();
                if let Some(number) = lengths.read(bytes) {
                    activity.ambiguous.store(number, Ordering::Relaxed);
                }
            }
            Seen::Http2(frames) => activity.frames_came(bytes.len(), frames.read(bytes)),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Observed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Who does not take answers is not asked for more requests. The write that is blocked wakes the task.
        if self.activity.is_blocked() {
            return Poll::Pending;
        }
        // One that floods waits for its next turn, so that the thread's other connections have theirs.
        if self.activity.turn_bytes.load(Ordering::Relaxed) >= BYTES_A_TURN {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
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
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.activity.wrote(written.is_pending(), cx);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.activity.wrote(written.is_pending(), cx);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = Pin::new(&mut self.stream).poll_flush(cx);
        self.activity.wrote(written.is_pending(), cx);
        written
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        header_read: Duration::from_secs(10),
        write: Duration::from_secs(30),
        keep_alive: Duration::from_secs(75),
    };

    #[test]
    fn a_connection_awaits_headers_then_works_then_idles_then_reads_headers_again() {
        let activity = Activity::begin(Protocol::Http1);
        assert!(matches!(activity.deadline(PATIENCE), Deadline::Head(_)));
        let request = activity.request();
        activity.bytes_came();
        assert_eq!(activity.deadline(PATIENCE), Deadline::Busy);
        drop(request);
        assert!(matches!(activity.deadline(PATIENCE), Deadline::Idle(_)));
        activity.bytes_came();
        assert!(matches!(activity.deadline(PATIENCE), Deadline::Head(_)));
    }

    #[tokio::test]
    async fn in_http_2_bytes_between_requests_begin_no_headers() {
        let activity = Activity::begin(Protocol::Http2);
        let ping: &[u8] = b"\0\0\x08\x06\0\0\0\0\0\x01\x02\x03\x04\x05\x06\x07\x08";
        let mut stream = Observed::new(ping, activity.clone(), Protocol::Http2);
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
        let mut stream = Observed::new(ours, activity.clone(), Protocol::Http1);
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
        activity.frames_came(1, IDLE_FRAMES);
        activity.request().answered();
        activity.frames_came(1, IDLE_FRAMES);
        assert_eq!(activity.abuse(), Abuse::None);
        activity.frames_came(1, 1);
        assert_eq!(activity.abuse(), Abuse::Flood);
    }

    #[tokio::test]
    async fn a_connection_that_floods_waits_for_its_next_turn() {
        let activity = Activity::begin(Protocol::Http2);
        let mut stream = Observed::new(tokio::io::repeat(0), activity.clone(), Protocol::Http2);
        let mut read = || {
            let mut space = [0; 1024];
            let mut cx = Context::from_waker(std::task::Waker::noop());
            Pin::new(&mut stream).poll_read(&mut cx, &mut ReadBuf::new(&mut space)).is_ready()
        };
        assert_eq!((0..100).filter(|_| read()).count() as u64, BYTES_A_TURN / 1024);
        activity.begin_turn();
        assert!(read());
    }
}
