//! How a connection or an attempt failed.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use crate::plan::address::AddressRefusal;

/// Why no connection came about, to whomever it was.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address.
    #[error("its name could not be resolved: {0}")]
    Resolve(io::Error),
    /// Every address belongs to a class that is not connected to.
    #[error(
        "it resolves to a loopback, link-local, multicast or metadata address, which is refused"
    )]
    AddressRefused,
    /// Its address is in a network that a URL must not reach.
    #[error(
        "its URL leads to a network that this operator does not connect to (--egress-deny-cidr)"
    )]
    NetworkDenied,
    /// TCP failed.
    #[error("cannot connect: {0}")]
    Tcp(io::Error),
    /// TLS failed.
    #[error("TLS failed: {0}")]
    Tls(io::Error),
    /// HTTP did not begin.
    #[error("HTTP did not begin: {0}")]
    Http(#[from] hyper::Error),
}

impl From<AddressRefusal> for ConnectError {
    fn from(refusal: AddressRefusal) -> Self {
        match refusal {
            AddressRefusal::Class => Self::AddressRefused,
            AddressRefusal::DeniedToUrls => Self::NetworkDenied,
        }
    }
}

/// An answer that was no success.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Its status.
    pub status: StatusCode,
    /// Its header `Retry-After`.
    pub retry_after: Option<HeaderValue>,
    /// The beginning of its body: at most [`REFUSAL_BODY_BYTES`].
    pub body: Bytes,
}

/// How much of the body of an answer that was no success is kept.
pub const REFUSAL_BODY_BYTES: usize = 1024;

/// Why the listener did not take the event. For logs and conditions, not for the sender.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The listener's Service has no endpoint that is ready.
    #[error("the listener's Service has no ready endpoint")]
    NoEndpoints,
    /// No connection came about.
    #[error("{}", no_connection(.0))]
    Connect(#[from] ConnectError),
    /// The connection broke before the answer was there, or the answer is not HTTP.
    #[error("the listener gave no valid answer: {0}")]
    Http(#[from] hyper::Error),
    /// It answered, but not 2xx.
    #[error("the listener answered {}", .0.status)]
    Refused(Box<Refusal>),
    /// It did not answer in time.
    #[error("the listener did not answer within {0:?}")]
    Timeout(Duration),
}

/// A tenant is told which field to correct.
fn no_connection(why: &ConnectError) -> String {
    match why {
        ConnectError::NetworkDenied => {
            "listener.url leads to a network that this operator does not connect to (--egress-deny-cidr)".into()
        }
        _ => format!("no connection to the listener: {why}"),
    }
}

impl CallError {
    /// The word for programs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Timeout(_) => "listener_timeout",
            Self::NoEndpoints => "listener_unavailable",
            _ => "listener_error",
        }
    }
}

/// How an attempt ended, in one word: see [`crate::routes::counts::ATTEMPT_OUTCOMES`].
pub fn outcome(called: &Result<StatusCode, CallError>) -> &'static str {
    match called {
        Ok(_) => "succeeded",
        Err(CallError::Refused(_)) => "refused",
        Err(CallError::Timeout(_)) => "timeout",
        Err(CallError::Connect(_)) => "connect",
        Err(CallError::Http(_)) => "http",
        Err(CallError::NoEndpoints) => "no_endpoints",
    }
}
