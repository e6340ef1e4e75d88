//! One attempt: a POST to the listener, within its time, over a pooled connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::SendRequest;
use tokio::time::timeout;

use super::pool::Pool;
use super::{CallError, Connector, Pieces};
use crate::routes::{Origin, Target};

/// How much of an answer's body is read so that its connection can be used again.
const ANSWER_BODY_BYTES: usize = 64 * 1024;

/// How long reading it may take, once the status is known.
const ANSWER_BODY_TIME: Duration = Duration::from_secs(5);

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
        let attempt = self.attempt(&target.origin, request);
        timeout(limit, attempt).await.map_err(|_| CallError::Timeout(limit))?
    }

    async fn attempt(
        &self,
        origin: &Arc<Origin>,
        mut request: Request<Pieces>,
    ) -> Result<(), CallError> {
        loop {
            let Some(mut sender) = self.pool.take(origin) else {
                let mut sender = self.connector.connect(origin).await?;
                let response = sender.send_request(request).await?;
                return self.conclude(origin, sender, response);
            };
            if sender.ready().await.is_err() {
                continue;
            }
            match sender.try_send_request(request).await {
                Ok(response) => return self.conclude(origin, sender, response),
                // The connection was closed before a byte of this request went out.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(error.into_error().into()),
                },
            }
        }
    }

    /// The status decides; the body is read only to use the connection again.
    fn conclude(
        &self,
        origin: &Arc<Origin>,
        sender: SendRequest<Pieces>,
        response: Response<Incoming>,
    ) -> Result<(), CallError> {
        let status = response.status();
        self.recycle(origin.clone(), sender, response.into_body());
        if status.is_success() { Ok(()) } else { Err(CallError::Status(status)) }
    }

    fn recycle(&self, origin: Arc<Origin>, sender: SendRequest<Pieces>, body: Incoming) {
        if body.is_end_stream() {
            return self.pool.put(&origin, sender);
        }
        let pool = self.pool.clone();
        let mut reading = Box::pin(async move {
            if matches!(timeout(ANSWER_BODY_TIME, is_short(body)).await, Ok(true)) {
                pool.put(&origin, sender);
            }
        });
        // Nearly always the body came with the head, and needs no task of its own.
        if reading.as_mut().now_or_never().is_none() {
            tokio::spawn(reading);
        }
    }
}

fn request(target: &Target, headers: HeaderMap, body: Pieces) -> Request<Pieces> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from(target.path.clone());
    *request.headers_mut() = headers;
    request
}

/// Reads and drops a body; false when it is longer than is worth reading, or breaks.
async fn is_short(mut body: Incoming) -> bool {
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
