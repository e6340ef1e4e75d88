//! One attempt: a POST to the listener, within its time, over a pooled connection.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::SendRequest;
use tokio::time::{Sleep, sleep};

use super::pool::Pool;
use super::{CallError, Connector, Pieces};
use crate::routes::{Origin, Target};

/// How much of an answer's body is read so that its connection can be used again.
const ANSWER_BODY_BYTES: usize = 64 * 1024;

/// Calls listeners, with connections of its own. One for each runtime: a connection is driven by
/// the runtime that made it.
#[derive(Clone, Debug)]
pub struct Caller {
    connector: Arc<Connector>,
    pool: Arc<Pool>,
}

impl Caller {
    /// A caller without connections yet.
    pub fn new(connector: Arc<Connector>) -> Self {
        Self { connector, pool: Arc::default() }
    }

    /// Closes idle connections for as long as somebody polls this.
    pub fn sweep(&self) -> impl Future<Output = ()> + use<> {
        self.pool.clone().sweep()
    }

    /// Makes one attempt. It succeeded when the listener answered 2xx; a redirect is no success.
    ///
    /// # Errors
    /// See [`CallError`]. `limit` bounds everything from the look-up of the name to the status.
    pub async fn call(
        &self,
        target: &Target,
        headers: HeaderMap,
        body: Pieces,
        limit: Duration,
    ) -> Result<(), CallError> {
        let request = request(target, headers, body);
        let mut deadline = pin!(sleep(limit));
        let Some(answer) = before(deadline.as_mut(), self.attempt(&target.origin, request)).await
        else {
            return Err(CallError::Timeout(limit));
        };
        let (sender, answer) = answer?;
        let status = answer.status();
        let mut body = answer.into_body();
        if body.is_end_stream() {
            self.pool.put(&target.origin, sender);
        } else if before(deadline, is_short(&mut body)).await == Some(true) {
            // The status has decided: the body is read only to use the connection again. It has what
            // is left of the attempt's time: a nearer deadline would cost a wake-up for each call.
            self.pool.put(&target.origin, sender);
        }
        if status.is_success() { Ok(()) } else { Err(CallError::Status(status)) }
    }

    async fn attempt(
        &self,
        origin: &Arc<Origin>,
        mut request: Request<Pieces>,
    ) -> Result<(SendRequest<Pieces>, Response<Incoming>), CallError> {
        loop {
            let Some(mut sender) = self.pool.take(origin) else {
                let mut sender = self.connector.connect(origin).await?;
                let response = sender.send_request(request).await?;
                return Ok((sender, response));
            };
            if sender.ready().await.is_err() {
                continue;
            }
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((sender, response)),
                // The connection was closed before a byte of this request went out.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(error.into_error().into()),
                },
            }
        }
    }
}

/// Polls until the deadline: one timer serves both the status and the body.
async fn before<T>(mut deadline: Pin<&mut Sleep>, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => deadline.as_mut().poll(cx).map(|()| None),
    })
    .await
}

fn request(target: &Target, headers: HeaderMap, body: Pieces) -> Request<Pieces> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from(target.path.clone());
    *request.headers_mut() = headers;
    request
}

/// Reads and drops a body; false when it is longer than is worth reading, or breaks.
async fn is_short(body: &mut Incoming) -> bool {
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > ANSWER_BODY_BYTES {
            return false;
        }
    }
    true
}
