//! The other replicas: found by a name, and asked what this one is asked, by whoever asks it.
//!
//! What is asked has the caller's own credentials, so that each replica decides by itself what the caller
//! may do: to be a peer gives no right. A peer is called at the addresses that the names resolve to, over TLS
//! with a certificate on each side that only a process with the identity key can make: whoever else is
//! at such an address gets to see no token.

mod authority;
mod call;
mod certificate;
mod credentials;
mod name;
mod roster;
mod tls_error;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use rustls::ServerConfig;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

pub use self::call::Question;
use self::call::{ANSWER_DEADLINE, CallError, MAX_ANSWER};
pub use self::credentials::{Credentials, CredentialsError};
pub use self::name::{InvalidName, Name};
use self::roster::Roster;

/// In a request, which replica asks: it is answered for the replica that is asked alone, and nobody else is
/// asked. In the answer to it, which replica answers.
pub const REPLICA: HeaderName = HeaderName::from_static("webhook-operator-replica");

/// How many peers are asked at once, by all callers together.
const CONCURRENCY: usize = 64;

/// The name of a replica, without what tells it from those of the same name before it.
pub fn name_of(identity: &str) -> &str {
    identity.rsplit_once('_').map_or(identity, |(name, _)| name)
}

/// The other replicas.
#[derive(Debug)]
pub struct Peers {
    /// This process among all that ever were: `<name>_<something unique>`.
    me: HeaderValue,
    names: Vec<Name>,
    /// How this process proves itself, where there may be others.
    credentials: Option<Credentials>,
    found: name::Cache,
    /// The address among those of the names that turned out to be this process.
    own: OnceLock<SocketAddr>,
    roster: Mutex<Roster>,
    /// Addresses without a TLS connection, in the last round.
    refused: Mutex<BTreeSet<SocketAddr>>,
    permits: Semaphore,
}

/// What the other replicas answered.
#[derive(Debug, Default)]
pub struct Answers {
    /// One for each replica that answered.
    pub given: Vec<Answer>,
    /// The names of those that did not, or their addresses where no name is known.
    pub unavailable: Vec<String>,
}

/// What a replica answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What tells the replica from every other one.
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
    /// Peers at whatever the names resolve to; this process may be among them. `me` tells it from
    /// every other one, and begins with its name and `_`.
    pub fn new(names: Vec<Name>, me: HeaderValue, credentials: Credentials) -> Self {
        Self { credentials: Some(credentials), names, ..Self::alone(me) }
    }

    /// Nobody: there is one replica.
    pub fn none() -> Self {
        Self::alone(HeaderValue::from_static("standalone"))
    }

    fn alone(me: HeaderValue) -> Self {
        Self {
            me,
            names: Vec::new(),
            credentials: None,
            found: name::Cache::default(),
            own: OnceLock::new(),
            roster: Mutex::default(),
            refused: Mutex::default(),
            permits: Semaphore::new(CONCURRENCY),
        }
    }

    /// TLS of the port that peers call, where there may be others.
    pub fn server_tls(&self) -> Option<Arc<ServerConfig>> {
        self.credentials.as_ref().map(Credentials::server)
    }

    /// What this process calls itself.
    pub fn me(&self) -> &HeaderValue {
        &self.me
    }

    /// Whether there may be others.
    pub fn is_alone(&self) -> bool {
        self.names.is_empty()
    }

    /// Asks every other replica at once. Takes no longer than the question's deadline, and 2 seconds to
    /// find them.
    pub async fn ask(&self, question: &Question) -> Answers {
        let Some(credentials) = &self.credentials else { return Answers::default() };
        let tls = &TlsConnector::from(credentials.client());
        let name::Found { addresses, unresolved } = self.found.of(&self.names).await;
        let others = addresses.into_iter().filter(|address| self.own.get() != Some(address));
        let asked = others.map(|address| async move {
            (address, call::call(address, tls, question, &self.me, &self.permits).await)
        });
        let answered = join_all(asked).await;
        self.sort_out(answered, unresolved)
    }

    /// Tells answers from failures, replicas from each other, and this one from the others.
    fn sort_out(
        &self,
        answered: Vec<(SocketAddr, Result<Answer, CallError>)>,
        unresolved: Vec<String>,
    ) -> Answers {
        let now = Instant::now();
        let mut answers = Answers { given: Vec::new(), unavailable: unresolved };
        let (mut who, mut silent, mut refused) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (address, answer) in answered {
            match answer {
                Ok(answer) if answer.identity == self.me => drop(self.own.set(address)),
                // Two addresses of one replica.
                Ok(answer) if who.contains(&answer.identity) => {}
                Ok(answer) => {
                    self.roster().met(&answer.replica, address, now);
                    who.push(answer.identity.clone());
                    answers.given.push(answer);
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
        let present: Vec<&str> = answers.given.iter().map(|answer| &*answer.replica).collect();
        answers.unavailable.extend(self.roster().missing(&present, &silent, now));
        answers
    }

    /// Logs why an address did not answer; says whether that is for lack of a TLS connection. Such an address is
    /// one that somebody has to look at, and is warned of once: not by each of the calls that ask it.
    fn report(&self, address: SocketAddr, error: &CallError) -> bool {
        let is_refused = matches!(error, CallError::Tls(_));
        if is_refused && !self.refused().contains(&address) {
            tracing::warn!(%address, %error, "a peer is left out");
        } else {
            tracing::debug!(%address, %error, "a replica did not answer");
        }
        is_refused
    }

    fn refused(&self) -> MutexGuard<'_, BTreeSet<SocketAddr>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answers {
    /// The answers as what they should be, and the names of who gave them. Whoever answered something
    /// else counts as unavailable.
    pub fn read<T: DeserializeOwned>(self) -> (Vec<(String, T)>, Vec<String>) {
        let Self { given, mut unavailable } = self;
        let mut read = Vec::new();
        for answer in given {
            let body = answer.status.is_success().then_some(&answer.body);
            match body.and_then(|body| serde_json::from_slice(body).ok()) {
                Some(value) => read.push((answer.replica, value)),
                None => unavailable.push(answer.replica),
            }
        }
        (read, unavailable)
    }
}

impl Question {
    /// A question that is answered at once.
    pub fn new(method: Method, path: String, authorization: Option<HeaderValue>) -> Self {
        let (body, deadline, max_answer) = (Bytes::new(), ANSWER_DEADLINE, MAX_ANSWER);
        Self { method, path, authorization, body, deadline, max_answer }
    }

    /// What became of the events of a namespace's webhooks, of all where it is empty; with their last hour,
    /// if that is wanted.
    pub fn tallies(
        namespace: &str,
        last_hour: bool,
        authorization: Option<HeaderValue>,
        max_answer: usize,
    ) -> Self {
        let namespace: String = form_urlencoded::byte_serialize(namespace.as_bytes()).collect();
        let path = format!("/api/tallies?namespace={namespace}&lastHour={last_hour}");
        Self { max_answer, ..Self::new(Method::GET, path, authorization) }
    }
}
