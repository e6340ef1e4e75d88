//! Every limit of the public ports, in one place.

use std::time::Duration;

/// What strangers may take. Each is a flag of the command line.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Request line and headers together, in bytes.
    pub header_bytes: usize,
    /// From a request's first byte, or a connection's start, to the end of its headers.
    pub header_read: Duration,
    /// From the end of the headers to the end of the body.
    pub body_read: Duration,
    /// How long a connection may stay open between requests.
    pub keep_alive: Duration,
    /// Connections of one port at once; more wait to be accepted.
    pub connections: usize,
    /// Of these, connections of one client, see [`super::connections`].
    pub connections_per_client: usize,
    /// Bytes of bodies that may be held in memory at once, all triggers together.
    pub buffered_bytes: usize,
    /// Triggers of one app at once.
    pub in_flight_per_app: usize,
    /// From the signal to stop until what is still under way is cut off.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: 32 * 1024,
            header_read: Duration::from_secs(10),
            body_read: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            connections: 8192,
            connections_per_client: 8192 / CLIENT_SHARE,
            buffered_bytes: 256 * 1024 * 1024,
            in_flight_per_app: 1024,
            drain: Duration::from_secs(30),
        }
    }
}

/// One client has at most one in so many of what there is for all: connections of a port, places of an app.
pub const CLIENT_SHARE: usize = 8;

/// Headers of one request, by number.
pub(super) const HEADERS: usize = 100;

/// Concurrent requests of one HTTP/2 connection: the fewest that RFC 9113, section 5.1.2 recommends.
pub(super) const STREAMS: u32 = 100;

/// Streams of one HTTP/2 connection whose client has reset them, more than there were answers: a rapid reset
/// (CVE-2023-44487). Then the connection takes no more of them, and at twice as many it is cut.
pub(super) const RESETS: u32 = 128;

/// Streams of one HTTP/2 connection that we reset because of the client's own mistakes.
pub(super) const ERROR_RESETS: usize = 64;

/// Streams that are reset before they were looked at.
pub(super) const PENDING_RESETS: usize = 20;

/// What a client may send of a body before it is read, on one stream of HTTP/2.
pub(super) const STREAM_WINDOW: u32 = 256 * 1024;

/// The same on all streams of one connection.
pub(super) const CONNECTION_WINDOW: u32 = 512 * 1024;

/// What is kept of answers that the client does not read, on one HTTP/2 stream. Answers are short.
pub(super) const SEND_BUFFER: usize = 64 * 1024;

/// What an HTTP/1 connection reads at once, and keeps of answers that the client does not read; more where heads may be
/// longer. By default hyper keeps 400 KiB: thousands of answers to requests that were sent without waiting.
pub(super) const BUFFER: usize = 64 * 1024;

/// Frames of HTTP/2 that ask for nothing, between two answers; see [`super::frames`].
pub(super) const IDLE_FRAMES: u32 = 1000;

/// Bytes that are read from one HTTP/2 connection before others have their turn: frames may be 9 bytes short.
pub(super) const BYTES_A_TURN: u64 = 16 * 1024;
