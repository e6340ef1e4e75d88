//! Starts the server: trigger threads, the app API, the admin port and the dispatcher.

mod server;
mod sockets;
mod tasks;

use std::io;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::options::{Addresses, ServeArgs};
use super::output;
use crate::app_token::Tokens;
use crate::peers::Peers;
use crate::plan::address::AddressPolicy;
use crate::source::{AccessReviewer, PlanRunner, TokenReviewer, WebhookStore};
use crate::store::Store;
use crate::traces::Traces;
use server::Server;
pub use sockets::{Bound, bind};

/// Threads of the control runtime, which serves everything except triggers.
const CONTROL_THREADS: usize = 2;

/// The components that the server uses.
pub struct Parts {
    /// The planner and the route table.
    pub runner: Arc<PlanRunner>,
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
    ports: Vec<JoinHandle<()>>,
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
        let server = Server::new(args, parts, stop)?;
        server.follow_clock_and_issuers();
        let mut threads = server.trigger_threads(bound.trigger)?;
        threads.push(server.dispatcher_thread()?);
        let guard = server.guard(bound.addresses.admin);
        let mut ports = vec![server.app_api_port(bound.app_api)];
        ports.extend(bound.peer.and_then(|port| server.peer_port(port, guard.clone())));
        ports.push(server.admin_port(bound.admin, guard));
        Ok(Self { threads, ports, traces: server.traces() })
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
