//! A connection between two requests.

use std::pin::Pin;
use std::task::{Context, Waker};

use tokio::io::{AsyncRead, ReadBuf};

use super::ListenerStream;

/// An open connection without a request.
#[derive(Debug)]
pub struct IdleConnection {
    /// Its stream. Every byte of the last response was read.
    pub(super) stream: ListenerStream,
}

impl IdleConnection {
    /// A connection over a new stream.
    pub fn new(stream: ListenerStream) -> Self {
        Self { stream }
    }

    /// Whether the listener has neither closed the connection nor sent anything. Never waits.
    pub fn is_idle(&mut self) -> bool {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let mut cx = Context::from_waker(Waker::noop());
        Pin::new(&mut self.stream).poll_read(&mut cx, &mut buffer).is_pending()
    }
}
