//! The other replicas: discovered by DNS names, and queried to answer requests for all replicas
//! together.
//!
//! A request carries the credentials of the original caller, and each replica authorizes that
//! caller: being a peer grants no rights. Connections use mutual TLS with certificates that only a
//! process with the identity key can issue, so no other process at a peer's address receives a
//! token.

mod authority;
mod call;
mod certificate;
mod credentials;
mod name;
mod roster;
mod tls_error;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use parking_lot::{Mutex, MutexGuard};
use rustls::ServerConfig;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

use crate::store::HistoryScope;

pub use self::call::Question;
use self::call::{MAX_RESPONSE, PeerCallError, RESPONSE_DEADLINE};
pub use self::credentials::{Credentials, CredentialsError};
pub use self::name::{InvalidName, Name};
use self::roster::Roster;

/// Header with the identity of a replica. In a request: the calling replica; the called replica
/// then answers only for itself and does not query others. In a response: the replica that answers.
pub const REPLICA: HeaderName = HeaderName::from_static("webhook-operator-replica");

/// Maximum number of concurrent requests to peers, over all callers.
const CONCURRENCY: usize = 64;

/// The name in a replica's identity, without the suffix that is unique for each process.
pub fn name_of(identity: &str) -> &str {
    identity.rsplit_once('_').map_or(identity, |(name, _)| name)
}

/// The other replicas.
#[derive(Debug)]
pub struct Peers {
    /// The identity of this process, unique over all processes and restarts: `<name>_<unique
    /// suffix>`.
    me: HeaderValue,
    names: Vec<Name>,
    /// The TLS credentials of this process; `None` if no other replica is asked.
    credentials: Option<Credentials>,
    addresses: name::AddressCache,
    /// The address of this process among the resolved ones, once it is known.
    own: OnceLock<SocketAddr>,
    roster: Mutex<Roster>,
    /// Addresses whose TLS handshake failed in the last round.
    refused: Mutex<BTreeSet<SocketAddr>>,
    permits: Semaphore,
}

/// The responses of the other replicas.
#[derive(Debug, Default)]
pub struct PeerResponses {
    /// One per reachable replica.
    pub responses: Vec<PeerResponse>,
    /// The names of the unreachable replicas, or their addresses if the name is unknown.
    pub unavailable: Vec<String>,
}

/// The response of a replica.
#[derive(Clone, Debug)]
pub struct PeerResponse {
    /// The unique identity of the replica.
    identity: HeaderValue,
    /// The name of the replica.
    pub replica: String,
    /// The status.
    pub status: StatusCode,
    /// The header `Location`.
    pub location: Option<HeaderValue>,
    /// The body.
    pub body: Bytes,
}

impl Peers {
    /// The peers at the addresses to which the names resolve; this process may be among them. `me`
    /// is its identity: its name, `_` and a unique suffix.
    pub fn new(names: Vec<Name>, me: HeaderValue, credentials: Credentials) -> Self {
        Self { credentials: Some(credentials), names, ..Self::alone(me) }
    }

    /// No peers: there is a single replica.
    pub fn none() -> Self {
        Self::alone(HeaderValue::from_static("standalone"))
    }

    fn alone(me: HeaderValue) -> Self {
        Self {
            me,
            names: Vec::new(),
            credentials: None,
            addresses: name::AddressCache::default(),
            own: OnceLock::new(),
            roster: Mutex::default(),
            refused: Mutex::default(),
            permits: Semaphore::new(CONCURRENCY),
        }
    }

    /// The peers to ask for what a history of this scope does not contain: none if the replicas
    /// share their store. Then the peer port is not served either, see [`Self::server_tls`].
    pub fn for_history(self: Arc<Self>, scope: HistoryScope) -> Arc<Self> {
        match scope {
            HistoryScope::ThisReplica => self,
            HistoryScope::AllReplicas => Arc::new(Self::alone(self.me.clone())),
        }
    }

    /// The TLS configuration of the port that peers call; `None` if no other replica is asked.
    pub fn server_tls(&self) -> Option<Arc<ServerConfig>> {
        self.credentials.as_ref().map(Credentials::server)
    }

    /// The identity of this process.
    pub fn me(&self) -> &HeaderValue {
        &self.me
    }

    /// Whether no other replica is asked: there is none, or the replicas share their store.
    pub fn is_alone(&self) -> bool {
        self.names.is_empty()
    }

    /// Sends a request to all other replicas concurrently. Takes at most the deadline of the
    /// request, and 2 seconds for the lookup of their addresses.
    pub async fn ask(&self, question: &Question) -> PeerResponses {
        let Some(credentials) = &self.credentials else { return PeerResponses::default() };
        let tls = &TlsConnector::from(credentials.client());
        let name::Resolved { addresses, unresolved } = self.addresses.resolve(&self.names).await;
        let others = addresses.into_iter().filter(|address| self.own.get() != Some(address));
        let calls = others.map(|address| async move {
            (address, call::call(address, tls, question, &self.me, &self.permits).await)
        });
        let results = join_all(calls).await;
        self.collect(results, unresolved)
    }

    /// Separates responses from failures, and removes this process and duplicates of a replica.
    fn collect(
        &self,
        results: Vec<(SocketAddr, Result<PeerResponse, PeerCallError>)>,
        unresolved: Vec<String>,
    ) -> PeerResponses {
        let now = Instant::now();
        let mut collected = PeerResponses { responses: Vec::new(), unavailable: unresolved };
        let (mut seen, mut silent, mut refused) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (address, result) in results {
            match result {
                Ok(response) if response.identity == self.me => drop(self.own.set(address)),
                // A replica with two addresses.
                Ok(response) if seen.contains(&response.identity) => {}
                Ok(response) => {
                    self.roster().record(&response.replica, address, now);
                    seen.push(response.identity.clone());
                    collected.responses.push(response);
                }
                Err(error) => {
                    if self.report(address, &error) {
                        refused.insert(address);
                    }
                    silent.push(address);
                }
            }
        }
        *self.refused() = refused;
        let present: Vec<&str> = collected.responses.iter().map(|one| &*one.replica).collect();
        collected.unavailable.extend(self.roster().missing(&present, &silent, now));
        collected
    }

    /// Logs a failed call. Returns whether the TLS handshake failed. Such a failure needs an
    /// administrator and is a warning, but only the first time, so that calls do not flood the log.
    fn report(&self, address: SocketAddr, error: &PeerCallError) -> bool {
        let is_refused = matches!(error, PeerCallError::Tls(_));
        if is_refused && !self.refused().contains(&address) {
            tracing::warn!(%address, %error, "ignoring a peer");
        } else {
            tracing::debug!(%address, %error, "a replica did not answer");
        }
        is_refused
    }

    fn refused(&self) -> MutexGuard<'_, BTreeSet<SocketAddr>> {
        self.refused.lock()
    }

    fn roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock()
    }
}

impl PeerResponses {
    /// Parses the bodies. Returns them with the names of their replicas, and the names of the
    /// unavailable replicas; a replica with an error status or an unexpected body counts as
    /// unavailable.
    pub fn read<T: DeserializeOwned>(self) -> (Vec<(String, T)>, Vec<String>) {
        let Self { responses, mut unavailable } = self;
        let mut read = Vec::new();
        for response in responses {
            let body = response.status.is_success().then_some(&response.body);
            match body.and_then(|body| serde_json::from_slice(body).ok()) {
                Some(value) => read.push((response.replica, value)),
                None => unavailable.push(response.replica),
            }
        }
        (read, unavailable)
    }
}

impl Question {
    /// A request without a body, with the default limits.
    pub fn new(method: Method, path: String, authorization: Option<HeaderValue>) -> Self {
        let (body, deadline, max_response) = (Bytes::new(), RESPONSE_DEADLINE, MAX_RESPONSE);
        Self { method, path, authorization, body, deadline, max_response }
    }

    /// Requests the delivery counts of the webhooks in a namespace, or in all namespaces if it is
    /// empty. `last_hour` adds the counts per minute.
    pub fn tallies(
        namespace: &str,
        last_hour: bool,
        authorization: Option<HeaderValue>,
        max_response: usize,
    ) -> Self {
        let namespace: String = form_urlencoded::byte_serialize(namespace.as_bytes()).collect();
        let path = format!("/api/tallies?namespace={namespace}&lastHour={last_hour}");
        Self { max_response, ..Self::new(Method::GET, path, authorization) }
    }
}
