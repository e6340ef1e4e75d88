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
    /// Connections of one client at once; [`Self::share_of_connections`] when it is not set.
    pub connections_per_client: Option<usize>,
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
            connections_per_client: None,
            buffered_bytes: 256 * 1024 * 1024,
            in_flight_per_app: 1024,
            drain: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// How many connections one client may have: an eighth of all, where nothing else is said.
    pub fn share_of_connections(&self) -> usize {
        self.connections_per_client.unwrap_or(self.connections / 8).max(1)
    }
}

/// Headers of one request, by number.
pub(super) const HEADERS: usize = 100;

/// Concurrent requests of one HTTP/2 connection (RFC 9113, section 5.1.2).
pub(super) const STREAMS: u32 = 128;
