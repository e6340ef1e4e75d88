//! Every limit of the public ports, in one place.

use std::time::Duration;

/// Limits on resources that unauthenticated clients use. Each is a command-line flag.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Request line and headers together, in bytes.
    pub header_bytes: usize,
    /// The time from a request's first byte, or a connection's start, to the end of its head.
    pub header_read: Duration,
    /// The time from the end of the head to the end of the body.
    pub body_read: Duration,
    /// The time that a connection may stay open between requests.
    pub keep_alive: Duration,
    /// Concurrent connections of one port; further ones wait to be accepted.
    pub connections: usize,
    /// Concurrent connections of one client, see [`super::connections`].
    pub connections_per_client: usize,
    /// Bytes of request bodies in memory, over all triggers.
    pub buffered_bytes: usize,
    /// Concurrent triggers of one app.
    pub in_flight_per_app: usize,
    /// The time from the stop signal until open requests are aborted.
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

/// One client may use at most this fraction (one in eight) of a shared resource: the connections of
/// a port, the triggers in flight of an app.
pub const CLIENT_SHARE: usize = 8;

/// The number of headers of one request.
pub(super) const HEADERS: usize = 100;

/// Concurrent requests of one HTTP/2 connection: the minimum that RFC 9113, section 5.1.2
/// recommends.
pub(super) const STREAMS: u32 = 100;

/// Streams of one HTTP/2 connection that the client may reset beyond the number of responses: a
/// limit on rapid resets (CVE-2023-44487). Above it the connection accepts no more streams; at
/// twice the number it is closed immediately.
pub(super) const RESETS: u32 = 128;

/// Streams of one HTTP/2 connection that the server may reset because of the client's protocol
/// errors.
pub(super) const ERROR_RESETS: usize = 64;

/// Streams that may be reset before they are accepted.
pub(super) const PENDING_RESETS: usize = 20;

/// The bytes of a body that a client may send ahead, on one HTTP/2 stream.
pub(super) const STREAM_WINDOW: u32 = 256 * 1024;

/// The bytes of bodies that a client may send ahead, on all streams of one connection.
pub(super) const CONNECTION_WINDOW: u32 = 512 * 1024;

/// The bytes of unread responses that are buffered for one HTTP/2 stream. Responses are short.
pub(super) const SEND_BUFFER: usize = 64 * 1024;

/// The buffer of an HTTP/1 connection, for reads and for unread responses; larger if heads may be
/// longer. hyper's default of 400 KiB would buffer thousands of responses to pipelined requests.
pub(super) const BUFFER: usize = 64 * 1024;

/// HTTP/2 frames without a request that are allowed between two responses, see [`super::frames`].
pub(super) const IDLE_FRAMES: u32 = 1000;

/// Bytes to read from one HTTP/2 connection before it yields to others: frames can be as short as 9
/// bytes.
pub(super) const BYTES_PER_POLL: u64 = 16 * 1024;
