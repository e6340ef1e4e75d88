//! What runs on the server's threads and ports: waits for the routes, accepts connections, drains.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use tower::ServiceExt;

use crate::delivery::Caller;
use crate::http::{Acceptor, Drain, Limits, Peer, Phase};
use crate::trigger::Pipeline;

/// Turns true when the ports close.
pub fn closing(mut phase: watch::Receiver<Phase>) -> watch::Receiver<bool> {
    let (sender, closing) = watch::channel(false);
    tokio::spawn(async move {
        let _ = phase.wait_for(|phase| *phase == Phase::Closing).await;
        sender.send_replace(true);
    });
    closing
}

/// A flag that turns true when the ports close.
pub fn draining(mut phase: watch::Receiver<Phase>) -> Arc<AtomicBool> {
    let draining = Arc::new(AtomicBool::new(false));
    let flag = draining.clone();
    tokio::spawn(async move {
        if phase.wait_for(|phase| *phase == Phase::Closing).await.is_ok() {
            flag.store(true, Ordering::Relaxed);
        }
    });
    draining
}

/// A thread with its own runtime, so that a trigger never moves between cores.
pub fn spawn_thread(
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
pub async fn once_known(mut synced: watch::Receiver<bool>, mut phase: watch::Receiver<Phase>) {
    tokio::select! {
        _ = synced.wait_for(|synced| *synced) => {}
        _ = phase.wait_for(|phase| *phase == Phase::Closing) => {}
    }
}

/// Serves triggers until the ports close and triggers in flight have ended.
pub async fn serve_triggers(
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

/// Serves a router, and `triggers` below `/apps/`, until the port closes and requests in flight have ended.
pub async fn serve_router(
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
