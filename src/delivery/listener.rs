//! One attempt: a POST to the listener, within its time, over a pooled connection.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::response::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::SendRequest;
use tokio::time::{Sleep, sleep, timeout};

use super::connect::ONE_OF_SEVERAL;
use super::pool::Pool;
use super::{CallError, ConnectError, Connector, Pieces, REFUSAL_BODY_BYTES, Refusal, balance};
use crate::routes::{Busy, Endpoint, Endpoints, Origin, Target, Upstream};

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

    /// Makes one attempt. It succeeded when the listener answered 2xx, and returns which of them; a
    /// redirect is no success.
    ///
    /// # Errors
    /// See [`CallError`]. `limit` bounds everything from the look-up of the name to the status.
    pub async fn call(
        &self,
        target: &Target,
        headers: HeaderMap,
        body: Pieces,
        limit: Duration,
    ) -> Result<StatusCode, CallError> {
        let request = request(target, headers, body);
        let mut deadline = pin!(sleep(limit));
        let attempt = self.attempt(&target.upstream, request, limit);
        let Some(answer) = before(deadline.as_mut(), attempt).await else {
            return Err(CallError::Timeout(limit));
        };
        let Answered { origin, sender, response, _busy } = answer?;
        let (head, mut body) = response.into_parts();
        let mut beginning = Beginning::of(head.status);
        if body.is_end_stream() {
            self.pool.put(&origin, sender);
        } else if before(deadline, is_short(&mut body, &mut beginning)).await == Some(true) {
            // The status has decided: the body is read only to use the connection again, and to tell how
            // a refusal begins. It has what is left of the attempt's time: a nearer deadline would cost a
            // wake-up for each call.
            self.pool.put(&origin, sender);
        }
        if head.status.is_success() { Ok(head.status) } else { Err(refused(&head, beginning)) }
    }

    async fn attempt(
        &self,
        upstream: &Upstream,
        request: Request<Pieces>,
        limit: Duration,
    ) -> Result<Answered, CallError> {
        match upstream {
            Upstream::Origin(origin) => {
                let sent = self.send(origin, request, None).await;
                let (sender, response) = sent.map_err(|failed| failed.error)?;
                Ok(Answered { origin: origin.clone(), sender, response, _busy: None })
            }
            Upstream::Endpoints(endpoints) => self.attempt_one_of(endpoints, request, limit).await,
        }
    }

    /// Goes from endpoint to endpoint until one has taken the request.
    async fn attempt_one_of(
        &self,
        endpoints: &Endpoints,
        mut request: Request<Pieces>,
        limit: Duration,
    ) -> Result<Answered, CallError> {
        let mut failure = CallError::NoEndpoints;
        let mut tried = Vec::new();
        while let Some((busy, is_last)) = choose(endpoints, &tried) {
            // The others get at least the other half.
            let patience = (!is_last).then(|| ONE_OF_SEVERAL.min(limit / 2));
            match self.send(&busy.origin, request, patience).await {
                Ok((sender, response)) => {
                    let origin = busy.origin.clone();
                    return Ok(Answered { origin, sender, response, _busy: Some(busy) });
                }
                Err(Failed { error, unsent: None }) => return Err(error),
                Err(Failed { error, unsent: Some(unsent) }) => {
                    balance::rest(&busy);
                    (failure, request) = (error, *unsent);
                    tried.push(busy.clone());
                }
            }
        }
        Err(failure)
    }

    /// Sends a request over a connection that waits, or over a new one, which may take as long as
    /// `patience` to come about.
    async fn send(
        &self,
        origin: &Arc<Origin>,
        mut request: Request<Pieces>,
        patience: Option<Duration>,
    ) -> Result<(SendRequest<Pieces>, Response<Incoming>), Failed> {
        loop {
            let waiting = self.pool.take(origin);
            let is_fresh = waiting.is_none();
            let mut sender = match waiting {
                Some(sender) => sender,
                None => match self.connect(origin, patience).await {
                    Ok(sender) => sender,
                    Err(error) => {
                        let unsent = Some(Box::new(request));
                        return Err(Failed { error: error.into(), unsent });
                    }
                },
            };
            if sender.ready().await.is_err() && !is_fresh {
                continue;
            }
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((sender, response)),
                Err(mut error) => match error.take_message() {
                    // The connection was closed before a byte of this request went out.
                    Some(unsent) if !is_fresh => request = unsent,
                    unsent => {
                        let error = error.into_error().into();
                        return Err(Failed { error, unsent: unsent.map(Box::new) });
                    }
                },
            }
        }
    }

    async fn connect(
        &self,
        origin: &Origin,
        patience: Option<Duration>,
    ) -> Result<SendRequest<Pieces>, ConnectError> {
        // Boxed: a call that needs no new connection is not to carry the room for making one.
        let connecting = Box::pin(self.connector.connect(origin));
        let Some(patience) = patience else { return connecting.await };
        let timed_out = |_| Err(ConnectError::Tcp(io::ErrorKind::TimedOut.into()));
        timeout(patience, connecting).await.unwrap_or_else(timed_out)
    }
}

/// An answer, and where it came from.
struct Answered {
    origin: Arc<Origin>,
    sender: SendRequest<Pieces>,
    response: Response<Incoming>,
    /// Counts the call until its answer is read.
    _busy: Option<Busy>,
}

/// A request without an answer.
struct Failed {
    error: CallError,
    /// The request, where no byte of it went out: it may be sent elsewhere.
    unsent: Option<Box<Request<Pieces>>>,
}

/// An endpoint that was not tried yet, and whether it is the last of those.
fn choose(endpoints: &Endpoints, tried: &[Arc<Endpoint>]) -> Option<(Busy, bool)> {
    let ready = endpoints.ready();
    Some((balance::pick(&ready, tried)?, ready.len() <= tried.len() + 1))
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

fn refused(head: &Parts, beginning: Beginning) -> CallError {
    CallError::Refused(Box::new(Refusal {
        status: head.status,
        retry_after: head.headers.get(RETRY_AFTER).cloned(),
        body: beginning.kept.into(),
    }))
}

/// The beginning of a body, as far as it is to be kept.
struct Beginning {
    kept: Vec<u8>,
    most: usize,
}

impl Beginning {
    /// Of a success, nothing is kept.
    fn of(status: StatusCode) -> Self {
        let most = if status.is_success() { 0 } else { REFUSAL_BODY_BYTES };
        Self { kept: Vec::new(), most }
    }

    fn add(&mut self, data: &[u8]) {
        let room = self.most - self.kept.len();
        self.kept.extend_from_slice(&data[..data.len().min(room)]);
    }
}

/// Reads and drops a body, but for its beginning; false when it is longer than is worth reading, or
/// breaks.
async fn is_short(body: &mut Incoming, beginning: &mut Beginning) -> bool {
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        let Some(data) = frame.data_ref() else { continue };
        beginning.add(data);
        read += data.len();
        if read > ANSWER_BODY_BYTES {
            return false;
        }
    }
    true
}
