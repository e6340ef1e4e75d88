//! Starts the server: trigger threads, the app API, the admin port and the dispatcher.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use rustls::ServerConfig;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use tower::ServiceExt;

use super::options::{Addresses, ServeArgs};
use super::output;
use crate::admin::{self, Guard, Metrics, ProbeState, deliveries, overview, page};
use crate::app_api::{self, AppApi};
use crate::app_token::Tokens;
use crate::delivery::dispatcher::{self, Dispatcher};
use crate::delivery::{ApiFields, Caller, Connector};
use crate::http::{Acceptor, ConnectionCounts, Drain, Limits, Peer, Phase, phases};
use crate::key_sets;
use crate::moment::{Moment, steady};
use crate::peers::Peers;
use crate::plan::address::AddressPolicy;
use crate::source::{AccessReviewer, Brain, TokenReviewer, WebhookStore};
use crate::store::Store;
use crate::traces::{self, Traces};
use crate::trigger::{Budget, Failures, Pipeline, Readers, Shared};

/// Backlog of each listening socket.
const BACKLOG: i32 = 1024;

/// Send buffer of a connection, in bytes. By default the kernel keeps some megabytes of unread responses per
/// connection, which a client that never reads could fill with thousands of responses.
const SEND_BUFFER: usize = 64 * 1024;

/// Threads of the control runtime, which serves everything except triggers.
const CONTROL_THREADS: usize = 2;

/// Bound sockets, not served yet.
pub struct Bound {
    trigger: Vec<std::net::TcpListener>,
    app_api: std::net::TcpListener,
    admin: std::net::TcpListener,
    peer: Option<std::net::TcpListener>,
    /// The bound addresses; port 0 is replaced by the port that the kernel chose.
    pub addresses: Addresses,
}

/// The components that the server uses.
pub struct Parts {
    /// The planner and the route table.
    pub brain: Arc<Brain>,
    /// Creates and deletes webhooks.
    pub store: Arc<dyn WebhookStore>,
    /// The queue and its history.
    pub queue: Arc<dyn Store>,
    /// Issues and verifies tokens of the app API.
    pub tokens: Arc<Tokens>,
    /// Verifies ServiceAccount tokens (TokenReview); `None` outside a cluster.
    pub reviewer: Option<Arc<dyn TokenReviewer>>,
    /// Authorizes callers of the delivery API (SubjectAccessReview); `None` outside a cluster, where only
    /// loopback callers are allowed.
    pub access: Option<Arc<dyn AccessReviewer>>,
    /// The other replicas.
    pub peers: Arc<Peers>,
    /// URL at which apps reach the app API.
    pub app_api_url: String,
    /// Addresses that listeners may have.
    pub listener_addresses: AddressPolicy,
    /// True once all routes are loaded.
    pub synced: watch::Receiver<bool>,
    /// Whether this replica holds the lease, in a cluster.
    pub leading: Option<watch::Receiver<bool>>,
}

/// A running server.
pub struct Running {
    threads: Vec<oneshot::Receiver<()>>,
    ports: Vec<tokio::task::JoinHandle<()>>,
    traces: Traces,
}

/// The runtime of everything except triggers.
pub fn control_runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(CONTROL_THREADS).enable_all().build()
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Binds all ports.
///
/// # Errors
/// A port cannot be bound.
pub fn bind(wanted: Addresses, trigger_threads: usize) -> anyhow::Result<Bound> {
    let trigger = bind_shared(wanted.trigger, trigger_threads)
        .with_context(|| format!("cannot listen on {} (--trigger-addr)", wanted.trigger))?;
    let app_api = bind_one(wanted.app_api)
        .with_context(|| format!("cannot listen on {} (--app-api-addr)", wanted.app_api))?;
    let admin = bind_one(wanted.admin)
        .with_context(|| format!("cannot listen on {} (--admin-addr)", wanted.admin))?;
    let peer = wanted.peer.map(bind_peer).transpose()?;
    let addresses = Addresses {
        trigger: trigger[0].local_addr()?,
        app_api: app_api.local_addr()?,
        admin: admin.local_addr()?,
        peer: peer.as_ref().map(std::net::TcpListener::local_addr).transpose()?,
    };
    Ok(Bound { trigger, app_api, admin, peer, addresses })
}

fn bind_peer(address: SocketAddr) -> anyhow::Result<std::net::TcpListener> {
    bind_one(address).with_context(|| format!("cannot listen on {address} (--peer-addr)"))
}

/// One listening socket per thread on the same port (SO_REUSEPORT): the kernel distributes connections.
fn bind_shared(address: SocketAddr, count: usize) -> io::Result<Vec<std::net::TcpListener>> {
    // Bind once without SO_REUSEPORT: a second server on this port must fail, not get half of the connections.
    drop(bind_one(address)?);
    let first = bind_socket(address, true)?;
    let address = first.local_addr()?;
    let rest = (1..count).map(|_| bind_socket(address, true));
    std::iter::once(Ok(first)).chain(rest).collect()
}

fn bind_one(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    bind_socket(address, false)
}

fn bind_socket(address: SocketAddr, shared: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    // Accepted connections inherit the size.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl Running {
    /// Starts serving; drains, with a deadline, once `stop` turns true.
    ///
    /// # Errors
    /// A certificate cannot be loaded, or a thread cannot be started.
    pub fn start(
        bound: Bound,
        args: &ServeArgs,
        parts: Parts,
        stop: watch::Receiver<bool>,
    ) -> anyhow::Result<Self> {
        let limits = Arc::new(args.limits.limits());
        let phase = phases(stop.clone(), args.shutdown_delay);
        let traces = traces::start()?;
        let shared = shared(args, &parts, &limits, &phase, &traces);
        let connector =
            Connector::new(parts.listener_addresses.clone(), args.listener_ca_file.clone())
                .context("--listener-ca-file")?;
        let key_sets = parts.brain.planner().key_sets().clone();
        tokio::spawn(steady::follow());
        tokio::spawn(key_sets::keep_fresh(key_sets, connector.clone()));
        let pipeline = || {
            let fields = ApiFields::new(&parts.app_api_url, parts.tokens.clone(), now);
            let caller = Caller::new(connector.clone());
            (Pipeline::new(shared.clone(), Arc::new(fields), caller.clone()), caller)
        };
        let connections = Arc::<ConnectionCounts>::default();
        let acceptor = args.behind_balancer(Acceptor::new(
            limits.clone(),
            args.tls.config()?,
            connections.clone(),
        ));
        let mut threads = Vec::new();
        for (number, listener) in bound.trigger.into_iter().enumerate() {
            let (pipeline, caller) = pipeline();
            let drain = Drain::new(phase.clone());
            let known = once_known(parts.synced.clone(), phase.clone());
            let serve =
                serve_triggers(acceptor.clone(), listener, pipeline, caller, drain, limits.drain);
            let serve = async {
                known.await;
                serve.await
            };
            threads.push(spawn_thread(format!("trigger-{number}"), serve)?);
        }
        let dispatcher_limits = dispatcher::Limits {
            app_deletion_grace: args.queue.app_deletion_grace,
            ..dispatcher::Limits::default()
        };
        threads.push(spawn_thread(
            "dispatch".into(),
            dispatch(&parts, &connector, &traces, phase.clone(), dispatcher_limits, limits.drain),
        )?);
        let serve = |listener, tls, router, triggers| {
            serve_router(listener, tls, router, triggers, limits.clone(), phase.clone())
        };
        let (triggers, caller) = pipeline();
        tokio::spawn(caller.sweep());
        let app_api = serve(bound.app_api, None, app_api_router(&parts), Some(triggers));
        let known = once_known(parts.synced.clone(), phase.clone());
        let app_api = async {
            known.await;
            app_api.await;
        };
        let mut ports = vec![tokio::spawn(app_api)];
        let guard =
            parts.access.clone().map_or(Guard::Loopback(bound.addresses.admin), Guard::Cluster);
        // The peer port is served only with certificates, never in plain text.
        if let Some((port, tls)) = bound.peer.zip(parts.peers.server_tls()) {
            let routes = parts.brain.routes().clone();
            let (queue, peers) = (parts.queue.clone(), parts.peers.clone());
            let router = deliveries::peer_router(queue, routes, guard.clone(), peers);
            ports.push(tokio::spawn(serve(port, Some(tls), router, None)));
        }
        let metrics = Metrics {
            history: parts.queue.clone(),
            store_health: parts.queue.health(),
            brain: parts.brain.clone(),
            synced: parts.synced.clone(),
            leading: parts.leading.clone(),
            by_webhook: args.metrics.webhook_metrics,
            connections,
        };
        let probes = ProbeState { metrics, stopping: stop };
        let admin = admin_router(&parts, probes, guard);
        ports.push(tokio::spawn(serve(bound.admin, None, admin, None)));
        Ok(Self { threads, ports, traces })
    }

    /// Resolves when all connections are drained or aborted.
    pub async fn finished(self) {
        for thread in self.threads {
            let _ = thread.await;
        }
        for port in self.ports {
            let _ = port.await;
        }
        self.traces.finish().await;
    }
}

/// Prints the `ready` line of the contract.
pub fn print_ready(scheme: &str, addresses: Addresses) {
    let Addresses { trigger, app_api, admin, peer } = addresses;
    let peer = peer.map_or_else(String::new, |peer| format!(" peer=https://{peer}"));
    output::line(&format!(
        "ready trigger={scheme}://{trigger} app-api=http://{app_api} admin=http://{admin}{peer}"
    ));
}

/// Turns true when the ports close.
fn closing(mut phase: watch::Receiver<Phase>) -> watch::Receiver<bool> {
    let (sender, closing) = watch::channel(false);
    tokio::spawn(async move {
        let _ = phase.wait_for(|phase| *phase == Phase::Closing).await;
        sender.send_replace(true);
    });
    closing
}

fn draining(mut phase: watch::Receiver<Phase>) -> Arc<AtomicBool> {
    let draining = Arc::new(AtomicBool::new(false));
    let flag = draining.clone();
    tokio::spawn(async move {
        if phase.wait_for(|phase| *phase == Phase::Closing).await.is_ok() {
            flag.store(true, Ordering::Relaxed);
        }
    });
    draining
}

/// The state that all trigger pipelines share.
fn shared(
    args: &ServeArgs,
    parts: &Parts,
    limits: &Arc<Limits>,
    phase: &watch::Receiver<Phase>,
    traces: &Traces,
) -> Arc<Shared> {
    Arc::new(Shared {
        routes: parts.brain.routes().clone(),
        limits: limits.clone(),
        budget: Budget::new(limits.buffered_bytes),
        draining: draining(phase.clone()),
        max_body_bytes: args.limits.max_body_bytes,
        external_url: parts.brain.planner().external_url().to_owned(),
        clock: Moment::now,
        wall_clock: Moment::wall,
        queue: parts.queue.clone(),
        trusted_proxies: args.trusted_proxies(),
        failures: Failures::new(Instant::now()),
        readers: Readers::default(),
        traces: traces.clone(),
    })
}

fn app_api_router(parts: &Parts) -> Router {
    app_api::router(AppApi::new(
        parts.brain.clone(),
        parts.store.clone(),
        parts.tokens.clone(),
        parts.reviewer.clone(),
        now,
    ))
}

/// Probes, metrics, the page and its overview, and the delivery API.
fn admin_router(parts: &Parts, probes: ProbeState, guard: Guard) -> Router {
    let Parts { brain, queue, peers, .. } = parts;
    let overview = overview::router(brain.clone(), queue.clone(), guard.clone(), peers.clone());
    let routes = brain.routes().clone();
    let router = admin::router(probes)
        .merge(page::router(guard.clone()))
        .merge(overview)
        .merge(deliveries::router(queue.clone(), routes, guard, peers.clone()));
    page::secure(router)
}

/// A thread with its own runtime, so that a trigger never moves between cores.
fn spawn_thread(
    name: String,
    serve: impl Future<Output = io::Result<()>> + Send + 'static,
) -> anyhow::Result<oneshot::Receiver<()>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (done, finished) = oneshot::channel();
    std::thread::Builder::new().name(name).spawn(move || {
        if let Err(error) = runtime.block_on(serve) {
            tracing::error!(%error, "a server thread failed");
        }
        let _ = done.send(());
    })?;
    Ok(finished)
}

/// Resolves when all routes are loaded, or the ports close. Until then connections wait in the
/// kernel's queue: a replica that has just started, for example after a kill, receives
/// triggers before the first readiness probe, and would answer 404 for routes that it has not loaded
/// yet.
async fn once_known(mut synced: watch::Receiver<bool>, mut phase: watch::Receiver<Phase>) {
    tokio::select! {
        _ = synced.wait_for(|synced| *synced) => {}
        _ = phase.wait_for(|phase| *phase == Phase::Closing) => {}
    }
}

/// Delivers queued events to listeners, until the ports close and attempts in flight have ended.
fn dispatch(
    parts: &Parts,
    connector: &Arc<Connector>,
    traces: &Traces,
    phase: watch::Receiver<Phase>,
    limits: dispatcher::Limits,
    drain: Duration,
) -> impl Future<Output = io::Result<()>> + Send + use<> {
    let fields = ApiFields::new(&parts.app_api_url, parts.tokens.clone(), now);
    let caller = Caller::new(connector.clone());
    let brain = parts.brain.clone();
    let dispatcher = Dispatcher::new(dispatcher::Parts {
        queue: parts.queue.clone(),
        routes: brain.routes().clone(),
        changes: brain.version(),
        caller: caller.clone(),
        api: Box::new(move |app| fields.of(app)),
        tell: Box::new(move |app, reachability| brain.listener_reachability(app, reachability)),
        traces: traces.clone(),
        clock: Moment::now,
        limits,
        drain,
    });
    let known = once_known(parts.synced.clone(), phase.clone());
    async move {
        known.await;
        tokio::spawn(caller.sweep());
        dispatcher.run(closing(phase)).await;
        Ok(())
    }
}

async fn serve_triggers(
    acceptor: Acceptor,
    listener: std::net::TcpListener,
    pipeline: Pipeline,
    caller: Caller,
    drain: Drain,
    deadline: Duration,
) -> io::Result<()> {
    tokio::spawn(caller.sweep());
    let service = move |request: Request<Incoming>, peer: Peer| {
        let pipeline = pipeline.clone();
        async move { pipeline.handle(request, peer).await }
    };
    acceptor.run(TcpListener::from_std(listener)?, service, drain.clone()).await;
    if timeout(deadline, drain.finished()).await.is_err() {
        tracing::warn!("aborted triggers in flight: they took longer than the drain timeout");
    }
    Ok(())
}

async fn serve_router(
    listener: std::net::TcpListener,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    triggers: Option<Pipeline>,
    limits: Arc<Limits>,
    phase: watch::Receiver<Phase>,
) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let drain = Drain::new(phase);
    let service = move |request: Request<Incoming>, peer: Peer| {
        let (router, triggers) = (router.clone(), triggers.clone());
        async move {
            match triggers.filter(|_| request.uri().path().starts_with("/apps/")) {
                Some(triggers) => triggers.handle(request, peer).await.map(Body::new),
                None => {
                    let mut request = request.map(Body::new);
                    request.extensions_mut().insert(peer);
                    let Ok(response) = router.oneshot(request).await;
                    response
                }
            }
        }
    };
    let deadline = limits.drain;
    Acceptor::new(limits, tls, Arc::default()).run(listener, service, drain.clone()).await;
    let _ = timeout(deadline, drain.finished()).await;
}
