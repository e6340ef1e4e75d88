//! The listener of all webhooks: it notes each call before it answers, fails some of them, is late
//! with some when it is told to, and can be ended and started anew on the same port.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinSet, spawn_local};
use tokio::time::sleep;

use crate::ledger::Ledger;
use crate::load::{self, Envelope, TIMEOUT, WEBHOOKS};

/// Of how many calls one is answered 503.
const FAILED: u32 = 40;
/// Of how many calls one is answered late, when that is asked for.
const LATE: u32 = 40;
/// How late.
const DELAY: Duration = TIMEOUT.saturating_add(Duration::from_millis(300));

/// A listener. Its port stays the same.
pub struct Listener {
    address: SocketAddr,
    calls: Rc<Calls>,
    /// The accept loop; it holds the connections, which end with it.
    running: Option<tokio::task::JoinHandle<()>>,
}

/// What happens to calls.
pub struct Calls {
    ledger: Rc<RefCell<Ledger>>,
    /// Whether some are answered late.
    late: Cell<bool>,
    /// How many were.
    answered_late: Cell<u64>,
}

impl Listener {
    /// Starts one.
    pub async fn start(ledger: Rc<RefCell<Ledger>>) -> Result<Self> {
        let calls = Calls { ledger, late: Cell::new(false), answered_late: Cell::new(0) };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut listener = Self { address, calls: Rc::new(calls), running: None };
        listener.up().await?;
        Ok(listener)
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Ends it as a kill does: no call that is under way is answered.
    pub async fn down(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
            // What holds the port is gone when the task is.
            let _ = running.await;
        }
    }

    /// Starts it anew, unless it is running.
    pub async fn up(&mut self) -> Result<()> {
        if self.running.is_none() {
            let socket = TcpListener::bind(self.address).await;
            let socket = socket.with_context(|| format!("listen at {}", self.address))?;
            self.address = socket.local_addr()?;
            self.running = Some(spawn_local(serve(socket, self.calls.clone())));
        }
        Ok(())
    }

    /// Whether some answers are late from now on.
    pub fn set_late(&self, late: bool) {
        self.calls.late.set(late);
    }

    /// How many answers were late.
    pub fn answered_late(&self) -> u64 {
        self.calls.answered_late.get()
    }
}

async fn serve(socket: TcpListener, calls: Rc<Calls>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = socket.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let calls = calls.clone();
                let answer = service_fn(move |request| calls.clone().answer(request));
                let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
                // A client that goes away is the usual end of a connection here.
                connections.spawn_local(async move { drop(connection.await) });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

impl Calls {
    async fn answer(
        self: Rc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Empty<Bytes>>, Infallible> {
        let status = match self.note(request).await {
            Ok(status) => status,
            Err(error) => {
                self.ledger.borrow_mut().problem(format!("a call of the listener: {error:#}"));
                StatusCode::BAD_REQUEST
            }
        };
        let mut response = Response::new(Empty::new());
        *response.status_mut() = status;
        Ok(response)
    }

    /// Notes a call and says what is answered.
    async fn note(&self, request: Request<Incoming>) -> Result<StatusCode> {
        let header = |name: &str| {
            let value = request.headers().get(name).and_then(|value| value.to_str().ok());
            value.map(str::to_owned).with_context(|| format!("no {name}"))
        };
        let (id, uuid) = (header("Webhook-Event-Id")?.parse()?, header("Webhook-Uuid")?);
        let webhook = load::by_uuid(&uuid).context("of no webhook of ours")?;
        let Ok(body) = request.into_body().collect().await else {
            // The operator was killed while it sent: that is no call.
            return Ok(StatusCode::BAD_REQUEST);
        };
        let body = body.to_bytes();
        let event = serde_json::from_slice::<Envelope<'_>>(&body)?.event;
        let name = WEBHOOKS[webhook].name;
        anyhow::ensure!(
            event.is_whole(webhook),
            "{name}: {id}, number {}, is not whole",
            event.number
        );
        self.ledger.borrow_mut().receive(webhook, event.number, id);
        if WEBHOOKS[webhook].refuses(event.number) {
            return Ok(StatusCode::UNPROCESSABLE_ENTITY);
        }
        if fastrand::u32(..FAILED) == 0 {
            return Ok(StatusCode::SERVICE_UNAVAILABLE);
        }
        if self.late.get() && fastrand::u32(..LATE) == 0 {
            self.answered_late.set(self.answered_late.get() + 1);
            sleep(DELAY).await;
            return Ok(StatusCode::OK);
        }
        self.ledger.borrow_mut().deliver(id);
        Ok(StatusCode::OK)
    }
}
