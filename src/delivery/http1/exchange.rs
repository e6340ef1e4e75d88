//! One request and its response on a connection.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite};

use super::reader::{ResponsePart, ResponseReader};
use super::request::MAX_SLICES;
use super::{IdleConnection, ListenerRequest, ResponseError, ResponseHead};

/// How many bytes a read has room for. A usual response is shorter.
const READ_BYTES: usize = 4 * 1024;

/// A request on a connection. Dropping it closes the connection.
#[derive(Debug)]
pub struct Exchange {
    connection: IdleConnection,
    /// `None` when it was written, or when that failed.
    request: Option<ListenerRequest>,
    /// How many bytes of the request were written.
    written: usize,
    /// Whether the whole request was sent.
    is_sent: bool,
    reader: ResponseReader,
}

/// Error of a request without a response.
#[derive(Debug)]
pub struct SendError {
    /// What happened.
    pub error: ResponseError,
    /// The request, if no byte of it was written: it may be sent over another connection.
    pub unsent: Option<Box<ListenerRequest>>,
}

impl Exchange {
    /// Sends a request and waits for the head of the response. A listener may respond before it has
    /// read the request: that is not waited for.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send(
        connection: IdleConnection,
        request: ListenerRequest,
    ) -> Result<(Self, ResponseHead), SendError> {
        let mut exchange = Self {
            connection,
            request: Some(request),
            written: 0,
            is_sent: false,
            reader: ResponseReader::new(BytesMut::new()),
        };
        match poll_fn(|cx| exchange.poll_head(cx)).await {
            Ok(head) => Ok((exchange, head)),
            Err(error) => {
                let unsent = exchange.request.filter(|_| exchange.written == 0).map(Box::new);
                Err(SendError { error, unsent })
            }
        }
    }

    /// The next bytes of the body; `None` at its end.
    ///
    /// # Errors
    /// The connection broke, or the body is malformed.
    pub async fn data(&mut self) -> Result<Option<Bytes>, ResponseError> {
        poll_fn(|cx| {
            self.poll_rest_of_request(cx);
            loop {
                match ready!(self.poll_part(cx))? {
                    ResponsePart::Data(data) => return Poll::Ready(Ok(Some(data))),
                    ResponsePart::End => return Poll::Ready(Ok(None)),
                    ResponsePart::Head(_) => {}
                }
            }
        })
        .await
    }

    /// The connection, if the response is complete and another request may follow on it.
    pub fn into_connection(self) -> Option<IdleConnection> {
        (self.is_sent && self.reader.is_reusable()).then_some(self.connection)
    }

    /// Asks the listener for what it may hold back ([`super::ListenerStream::acknowledge`]).
    pub fn acknowledge(&self) {
        self.connection.stream.acknowledge();
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, ResponseError>> {
        match self.poll_write(cx) {
            // A response that is here already belongs to no request.
            Poll::Ready(Err(error)) if self.written == 0 => return Poll::Ready(Err(error.into())),
            // The listener may have responded and closed without reading the rest.
            Poll::Ready(Err(_)) => self.request = None,
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        loop {
            if let ResponsePart::Head(head) = ready!(self.poll_part(cx))? {
                return Poll::Ready(Ok(head));
            }
        }
    }

    /// Writes the rest of the request while the body of an early response is read.
    fn poll_rest_of_request(&mut self, cx: &mut Context<'_>) {
        if self.poll_write(cx).is_ready() {
            self.request = None;
        }
    }

    /// Writes the request. Ready when it was sent, or cannot be.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(request) = &self.request else { return Poll::Ready(Ok(())) };
        while self.written < request.byte_count() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let count = request.slices(self.written, &mut slices);
            let stream = Pin::new(&mut self.connection.stream);
            let written = ready!(stream.poll_write_vectored(cx, &slices[..count]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
        }
        ready!(Pin::new(&mut self.connection.stream).poll_flush(cx))?;
        self.is_sent = true;
        self.request = None;
        Poll::Ready(Ok(()))
    }

    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponsePart, ResponseError>> {
        loop {
            if let Some(part) = self.reader.next_part()? {
                return Poll::Ready(Ok(part));
            }
            self.reader.buffer.reserve(READ_BYTES);
            let reading = pin!(self.connection.stream.read_buf(&mut self.reader.buffer));
            if ready!(reading.poll(cx))? == 0 {
                self.reader.close()?;
            }
        }
    }
}
