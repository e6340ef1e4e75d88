//! The HTTP/1.1 client for listeners (RFC 9112): one request and its response at a time on a connection.
//!
//! Own code, because the listener call is what every event costs, and hyper's client spends more on
//! a call than the rest of the path: its connection is a task of its own, to which each request and
//! each body travels through channels. Here the caller's task drives the connection itself. A
//! request head is one buffer, which is written with the pieces of the body in one system call.
//! `httparse` parses heads, chunk sizes and trailers. Property tests compare the results with hyper's
//! (`tests.rs`); `docs/design/listener-connections.md` has the figures.
//!
//! - [`framing`]: where a response ends, and whether its connection can be reused (pure).
//! - [`reader`]: bytes into the parts of a response (pure; a fuzz target feeds it).
//! - [`stream`]: TCP or TLS.
//! - [`exchange`]: a request and its response on a connection.

mod connection;
mod exchange;
mod framing;
pub mod reader;
mod request;
mod stream;

pub use connection::IdleConnection;
pub use exchange::{Exchange, SendError};
pub use reader::{ResponseError, ResponseHead, ResponsePart};
pub use request::{ListenerRequest, RequestHead};
pub use stream::ListenerStream;

#[cfg(test)]
mod tests;
