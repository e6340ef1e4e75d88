//! One call of a listener: a POST with a timeout over a pooled connection.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Semaphore;
use tokio::time::{Sleep, sleep, timeout};

use super::connect::ONE_OF_SEVERAL;
use super::http1::{Exchange, IdleConnection, ListenerRequest, ResponseHead, SendError};
use super::pool::Pool;
use super::{
    CallError, ConnectError, Connector, KeptResponse, ListenerResponse, REFUSAL_BODY_BYTES,
    Refusal, ResponseBody, balance,
};
use crate::routes::{Busy, Endpoint, Endpoints, Origin, Upstream};

/// Maximum number of bytes read of a response body to make its connection reusable.
const MAX_DRAINED_BYTES: usize = 64 * 1024;

/// How long the rest of a response body may take after the result of the attempt is known.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// How many response bodies one caller reads in the background. The connections of others are closed.
const MAX_DRAINS: usize = 256;

/// Calls a listener. Implemented by [`Caller`]; tests substitute their own.
pub trait Call: Send + Sync + 'static {
    /// Sends one request. Returns the response if its status is 2xx; any other status is an error.
    /// Redirects are not followed.
    ///
    /// `limit` bounds the time from the lookup of the name to the status, and to the end of a
    /// response that is kept.
    ///
    /// # Errors
    /// See [`CallError`].
    fn call(
        &self,
        upstream: &Upstream,
        request: ListenerRequest,
        limit: Duration,
        body: ResponseBody<'_>,
    ) -> impl Future<Output = Result<ListenerResponse, CallError>> + Send;
}

/// Calls listeners over its own connection pool. Each runtime has its own caller, because a
/// connection is driven by the runtime that created it.
#[derive(Clone, Debug)]
pub struct Caller {
    connector: Arc<Connector>,
    pool: Arc<Pool>,
    drains: Arc<Semaphore>,
}

impl Caller {
    /// A caller with an empty pool.
    pub fn new(connector: Arc<Connector>) -> Self {
        let drains = Arc::new(Semaphore::new(MAX_DRAINS));
        Self { connector, pool: Arc::default(), drains }
    }

    /// Closes idle connections after their timeout. Never completes.
    pub fn sweep(&self) -> impl Future<Output = ()> + use<> {
        self.pool.clone().sweep()
    }

    async fn call_until(
        &self,
        upstream: &Upstream,
        request: ListenerRequest,
        limit: Duration,
        keep: ResponseBody<'_>,
    ) -> Result<ListenerResponse, CallError> {
        let mut deadline = pin!(sleep(limit));
        let attempt = self.attempt(upstream, request, limit);
        let Some(answered) = before(deadline.as_mut(), attempt).await else {
            return Err(CallError::Timeout(limit));
        };
        let Answered { origin, mut exchange, head, busy } = answered?;
        let status = head.status;
        if let (ResponseBody::Keep(take), true) = (keep, status.is_success()) {
            let read = KeptResponse::read(head, &mut exchange, take);
            let kept = before(deadline, read).await.ok_or(CallError::Timeout(limit))??;
            self.pool.put(&origin, exchange);
            return Ok(ListenerResponse { status, kept: Some(Box::new(kept)) });
        }
        if status.is_success() {
            self.drain_later(Draining { origin, exchange, _busy: busy });
            return Ok(ListenerResponse { status, kept: None });
        }
        // The beginning of an error response is kept.
        let mut prefix = BodyPrefix::new(REFUSAL_BODY_BYTES);
        let rest = timeout(DRAIN_TIME, drain(&mut exchange, &mut prefix));
        if before(deadline, rest).await == Some(Ok(true)) {
            self.pool.put(&origin, exchange);
        }
        Err(refused(head, prefix))
    }

    /// Reads the body of a success to make its connection reusable. The status alone decides the
    /// result, so what has not arrived yet is read in the background: a listener may send head and
    /// body in two packets, or never end a body without a length.
    fn drain_later(&self, mut draining: Draining) {
        // Usually the body came with the head.
        match drain(&mut draining.exchange, &mut BodyPrefix::new(0)).now_or_never() {
            Some(true) => return self.pool.put(&draining.origin, draining.exchange),
            Some(false) => return,
            None => draining.exchange.acknowledge(),
        }
        let Ok(permit) = self.drains.clone().try_acquire_owned() else { return };
        let pool = self.pool.clone();
        tokio::spawn(async move {
            let mut nothing = BodyPrefix::new(0);
            let rest = timeout(DRAIN_TIME, drain(&mut draining.exchange, &mut nothing));
            if rest.await == Ok(true) {
                pool.put(&draining.origin, draining.exchange);
            }
            drop(permit);
        });
    }

    async fn attempt(
        &self,
        upstream: &Upstream,
        request: ListenerRequest,
        limit: Duration,
    ) -> Result<Answered, CallError> {
        match upstream {
            Upstream::Origin(origin) => {
                let sent = self.send(origin, request, None).await;
                let (exchange, head) = sent.map_err(|failed| failed.error)?;
                Ok(Answered { origin: origin.clone(), exchange, head, busy: None })
            }
            Upstream::Endpoints(endpoints) => self.attempt_one_of(endpoints, request, limit).await,
        }
    }

    /// Tries one endpoint after the other until the request is sent.
    async fn attempt_one_of(
        &self,
        endpoints: &Endpoints,
        mut request: ListenerRequest,
        limit: Duration,
    ) -> Result<Answered, CallError> {
        let mut failure = CallError::NoEndpoints;
        let mut tried = Vec::new();
        while let Some((busy, is_last)) = choose(endpoints, &tried) {
            // At most half of the time is spent on the connect: the rest is left for other
            // endpoints.
            let connect_timeout = (!is_last).then(|| ONE_OF_SEVERAL.min(limit / 2));
            match self.send(&busy.origin, request, connect_timeout).await {
                Ok((exchange, head)) => {
                    let origin = busy.origin.clone();
                    return Ok(Answered { origin, exchange, head, busy: Some(busy) });
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

    /// Sends a request over an idle connection, or over a new one, which has to be established
    /// within `connect_timeout`.
    async fn send(
        &self,
        origin: &Arc<Origin>,
        mut request: ListenerRequest,
        connect_timeout: Option<Duration>,
    ) -> Result<(Exchange, ResponseHead), Failed> {
        while let Some(connection) = self.pool.take(origin) {
            match Exchange::send(connection, request).await {
                // The idle connection was closed before a byte of this request was sent.
                Err(SendError { unsent: Some(unsent), .. }) => request = *unsent,
                sent => return Ok(sent?),
            }
        }
        match self.connect(origin, connect_timeout).await {
            Ok(connection) => Ok(Exchange::send(connection, request).await?),
            Err(error) => Err(Failed { error: error.into(), unsent: Some(Box::new(request)) }),
        }
    }

    async fn connect(
        &self,
        origin: &Origin,
        connect_timeout: Option<Duration>,
    ) -> Result<IdleConnection, ConnectError> {
        // Boxed to keep the future of a call on an idle connection small.
        let connecting = Box::pin(self.connector.connect(origin));
        let stream = match connect_timeout {
            None => connecting.await,
            Some(limit) => timeout(limit, connecting)
                .await
                .unwrap_or_else(|_| Err(ConnectError::Tcp(io::ErrorKind::TimedOut.into()))),
        };
        stream.map(IdleConnection::new)
    }
}

impl Call for Caller {
    fn call(
        &self,
        upstream: &Upstream,
        request: ListenerRequest,
        limit: Duration,
        body: ResponseBody<'_>,
    ) -> impl Future<Output = Result<ListenerResponse, CallError>> + Send {
        self.call_until(upstream, request, limit, body)
    }
}

/// A response whose head was read.
struct Answered {
    origin: Arc<Origin>,
    exchange: Exchange,
    head: ResponseHead,
    /// Counts the call as in flight until the response is read.
    busy: Option<Busy>,
}

/// A response whose status is known, while its body is read.
struct Draining {
    origin: Arc<Origin>,
    exchange: Exchange,
    _busy: Option<Busy>,
}

/// A request without a response.
struct Failed {
    error: CallError,
    /// The request, if no byte of it was sent: it may be sent to another endpoint.
    unsent: Option<Box<ListenerRequest>>,
}

impl From<SendError> for Failed {
    fn from(SendError { error, unsent }: SendError) -> Self {
        Self { error: error.into(), unsent }
    }
}

/// Chooses an endpoint that was not tried yet. The flag is true for the last one.
fn choose(endpoints: &Endpoints, tried: &[Arc<Endpoint>]) -> Option<(Busy, bool)> {
    let ready = endpoints.ready();
    Some((balance::pick(&ready, tried)?, ready.len() <= tried.len() + 1))
}

/// Polls `work` until the deadline. One timer serves both the status and the body.
async fn before<T>(mut deadline: Pin<&mut Sleep>, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => deadline.as_mut().poll(cx).map(|()| None),
    })
    .await
}

fn refused(head: ResponseHead, prefix: BodyPrefix) -> CallError {
    CallError::Refused(Box::new(Refusal {
        status: head.status,
        retry_after: head.retry_after,
        body: prefix.bytes.into(),
    }))
}

/// The beginning of a body, up to a limit.
struct BodyPrefix {
    bytes: Vec<u8>,
    limit: usize,
}

impl BodyPrefix {
    fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit }
    }

    fn add(&mut self, data: &[u8]) {
        let remaining = self.limit - self.bytes.len();
        self.bytes.extend_from_slice(&data[..data.len().min(remaining)]);
    }
}

/// Drains a body and keeps its prefix. Returns false if the connection breaks or the body exceeds
/// [`MAX_DRAINED_BYTES`]: closing the connection is then cheaper than reading on.
async fn drain(exchange: &mut Exchange, prefix: &mut BodyPrefix) -> bool {
    let mut read = 0;
    loop {
        match exchange.data().await {
            Ok(Some(data)) => {
                prefix.add(&data);
                read += data.len();
                if read > MAX_DRAINED_BYTES {
                    return false;
                }
            }
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}
