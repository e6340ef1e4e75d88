//! Starts the ports and threads of a server.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use axum::Router;
use rustls::ServerConfig;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::tasks::{closing, draining, once_known, serve_router, serve_triggers, spawn_thread};
use super::{Parts, now};
use crate::admin::{self, Guard, Metrics, ProbeState, deliveries, overview, page};
use crate::app_api::{self, AppApi};
use crate::cli::options::ServeArgs;
use crate::delivery::dispatcher::{self, Dispatcher};
use crate::delivery::{ApiFields, Caller, Connector};
use crate::http::{Acceptor, ConnectionCounts, Drain, Limits, Phase, phases};
use crate::key_sets;
use crate::moment::{Moment, steady};
use crate::traces::{self, Traces};
use crate::trigger::{Budget, Failures, Pipeline, Readers, Shared};

/// What the threads and ports of a server have in common.
pub struct Server<'a> {
    args: &'a ServeArgs,
    parts: Parts,
    stop: watch::Receiver<bool>,
    phase: watch::Receiver<Phase>,
    limits: Arc<Limits>,
    traces: Traces,
    connector: Arc<Connector>,
    connections: Arc<ConnectionCounts>,
    /// The state that all trigger pipelines share.
    triggers: Arc<Shared>,
}

impl<'a> Server<'a> {
    /// Assembles a server; nothing is served yet.
    ///
    /// # Errors
    /// The exporter of traces cannot be set up, or `--listener-ca-file` cannot be read.
    pub fn new(
        args: &'a ServeArgs,
        parts: Parts,
        stop: watch::Receiver<bool>,
    ) -> anyhow::Result<Self> {
        let limits = Arc::new(args.limits.limits());
        let phase = phases(stop.clone(), args.shutdown_delay);
        let traces = traces::start()?;
        let addresses = parts.listener_addresses.clone();
        let connector = Connector::new(addresses, args.listener_ca_file.clone())
            .context("--listener-ca-file")?;
        let triggers = Arc::new(Shared {
            routes: parts.runner.routes().clone(),
            limits: limits.clone(),
            budget: Budget::new(limits.buffered_bytes),
            draining: draining(phase.clone()),
            max_body_bytes: args.limits.max_body_bytes,
            external_url: parts.runner.planner().external_url().to_owned(),
            clock: Moment::now,
            wall_clock: Moment::wall,
            queue: parts.queue.clone(),
            trusted_proxies: args.trusted_proxies(),
            failures: Failures::new(Instant::now()),
            readers: Readers::default(),
            traces: traces.clone(),
        });
        let connections = Arc::default();
        Ok(Self { args, parts, stop, phase, limits, traces, connector, connections, triggers })
    }

    /// The exporter of spans, to be finished last.
    pub fn traces(&self) -> Traces {
        self.traces.clone()
    }

    /// Follows steps of the system clock, and keeps the keys of issuers fresh.
    pub fn follow_clock_and_issuers(&self) {
        let key_sets = self.parts.runner.planner().key_sets().clone();
        tokio::spawn(steady::follow());
        tokio::spawn(key_sets::keep_fresh(key_sets, self.connector.clone()));
    }

    /// One thread for each listening socket of the trigger port.
    ///
    /// # Errors
    /// A certificate cannot be loaded, or a thread cannot be started.
    pub fn trigger_threads(
        &self,
        listeners: Vec<TcpListener>,
    ) -> anyhow::Result<Vec<oneshot::Receiver<()>>> {
        let (limits, connections) = (self.limits.clone(), self.connections.clone());
        let acceptor = Acceptor::new(limits, self.args.tls.config()?, connections);
        let acceptor = self.args.behind_balancer(acceptor);
        let start = |(number, listener)| {
            let (pipeline, caller) = self.pipeline();
            let drain = Drain::new(self.phase.clone());
            let deadline = self.limits.drain;
            let serve =
                serve_triggers(acceptor.clone(), listener, pipeline, caller, drain, deadline);
            spawn_thread(format!("trigger-{number}"), self.when_routes_are_known(serve))
        };
        listeners.into_iter().enumerate().map(start).collect()
    }

    /// The thread that delivers queued events.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn dispatcher_thread(&self) -> anyhow::Result<oneshot::Receiver<()>> {
        spawn_thread("dispatch".into(), self.when_routes_are_known(self.dispatch()))
    }

    /// Serves the app API, and triggers on the same port.
    pub fn app_api_port(&self, listener: TcpListener) -> JoinHandle<()> {
        let (pipeline, caller) = self.pipeline();
        tokio::spawn(caller.sweep());
        let serve = self.serve(listener, None, self.app_api_router(), Some(pipeline));
        tokio::spawn(self.when_routes_are_known(serve))
    }

    /// Serves other replicas. Only with certificates, never in plain text: `None` without them.
    pub fn peer_port(&self, listener: TcpListener, guard: Guard) -> Option<JoinHandle<()>> {
        let Parts { runner, queue, peers, .. } = &self.parts;
        let tls = peers.server_tls()?;
        let routes = runner.routes().clone();
        let router = deliveries::peer_router(queue.clone(), routes, guard, peers.clone());
        Some(tokio::spawn(self.serve(listener, Some(tls), router, None)))
    }

    /// Serves probes, metrics, the page and the delivery API.
    pub fn admin_port(&self, listener: TcpListener, guard: Guard) -> JoinHandle<()> {
        tokio::spawn(self.serve(listener, None, self.admin_router(guard), None))
    }

    /// The access control of the delivery API: the cluster's; outside a cluster, loopback callers
    /// of the admin port at `address`.
    pub fn guard(&self, address: SocketAddr) -> Guard {
        self.parts.access.clone().map_or(Guard::Loopback(address), Guard::Cluster)
    }

    /// A trigger pipeline with its own connections to listeners.
    fn pipeline(&self) -> (Pipeline, Caller) {
        let caller = Caller::new(self.connector.clone());
        let fields = Arc::new(self.api_fields());
        (Pipeline::new(self.triggers.clone(), fields, caller.clone()), caller)
    }

    fn api_fields(&self) -> ApiFields {
        ApiFields::new(&self.parts.app_api_url, self.parts.tokens.clone(), now)
    }

    /// Postpones `serve` until all routes are loaded, see [`once_known`].
    fn when_routes_are_known<F: Future + Send>(
        &self,
        serve: F,
    ) -> impl Future<Output = F::Output> + Send + use<F> {
        let known = once_known(self.parts.synced.clone(), self.phase.clone());
        async {
            known.await;
            serve.await
        }
    }

    fn serve(
        &self,
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
        router: Router,
        triggers: Option<Pipeline>,
    ) -> impl Future<Output = ()> + Send + use<> {
        serve_router(listener, tls, router, triggers, self.limits.clone(), self.phase.clone())
    }

    /// Delivers queued events to listeners, until the ports close and attempts in flight have ended.
    fn dispatch(&self) -> impl Future<Output = io::Result<()>> + Send + use<> {
        let fields = self.api_fields();
        let caller = Caller::new(self.connector.clone());
        let runner = self.parts.runner.clone();
        let dispatcher = Dispatcher::new(dispatcher::Parts {
            queue: self.parts.queue.clone(),
            routes: runner.routes().clone(),
            changes: runner.version(),
            caller: caller.clone(),
            api: Box::new(move |app| fields.of(app)),
            tell: Box::new(move |app, reachability| {
                runner.listener_reachability(app, reachability)
            }),
            traces: self.traces.clone(),
            clock: Moment::now,
            limits: dispatcher::Limits {
                app_deletion_grace: self.args.queue.app_deletion_grace,
                ..dispatcher::Limits::default()
            },
            drain: self.limits.drain,
        });
        let phase = self.phase.clone();
        async move {
            tokio::spawn(caller.sweep());
            dispatcher.run(closing(phase)).await;
            Ok(())
        }
    }

    fn app_api_router(&self) -> Router {
        let Parts { runner, store, tokens, reviewer, .. } = &self.parts;
        let (runner, store, tokens) = (runner.clone(), store.clone(), tokens.clone());
        app_api::router(AppApi::new(runner, store, tokens, reviewer.clone(), now))
    }

    /// Probes, metrics, the page and its overview, and the delivery API.
    fn admin_router(&self, guard: Guard) -> Router {
        let Parts { runner, queue, peers, .. } = &self.parts;
        let overview =
            overview::router(runner.clone(), queue.clone(), guard.clone(), peers.clone());
        let routes = runner.routes().clone();
        let router = admin::router(self.probes())
            .merge(page::router(guard.clone()))
            .merge(overview)
            .merge(deliveries::router(queue.clone(), routes, guard, peers.clone()));
        page::secure(router)
    }

    fn probes(&self) -> ProbeState {
        let Parts { runner, queue, synced, leading, .. } = &self.parts;
        let metrics = Metrics {
            history: queue.clone(),
            store_health: queue.health(),
            runner: runner.clone(),
            synced: synced.clone(),
            leading: leading.clone(),
            by_webhook: self.args.metrics.webhook_metrics,
            connections: self.connections.clone(),
        };
        ProbeState { metrics, stopping: self.stop.clone() }
    }
}
