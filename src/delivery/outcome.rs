//! Errors of connections and attempts.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use super::MAX_RESPONSE_BYTES;
use super::http1::ResponseError;
use crate::plan::address::AddressRefusal;
use crate::routes::AttemptOutcome;

/// Error of a connect to a listener or to an issuer of key sets.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The host name cannot be resolved.
    #[error("cannot resolve the host name: {0}")]
    Resolve(io::Error),
    /// Every address of the host belongs to a class that the address policy refuses.
    #[error("the host has a loopback, link-local, multicast or metadata address, which is refused")]
    AddressRefused,
    /// The address is in a network that the operator's flags deny to URLs.
    #[error("the URL resolves to a network that is denied by --egress-deny-cidr")]
    NetworkDenied,
    /// TCP failed.
    #[error("cannot connect: {0}")]
    Tcp(io::Error),
    /// TLS failed.
    #[error("TLS failed: {0}")]
    Tls(io::Error),
}

impl From<AddressRefusal> for ConnectError {
    fn from(refusal: AddressRefusal) -> Self {
        match refusal {
            AddressRefusal::Class => Self::AddressRefused,
            AddressRefusal::DeniedToUrls => Self::NetworkDenied,
        }
    }
}

/// A response without a 2xx status.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// The header `Retry-After`.
    pub retry_after: Option<HeaderValue>,
    /// The beginning of the body: at most [`REFUSAL_BODY_BYTES`].
    pub body: Bytes,
}

/// Maximum number of bytes kept of the body of a [`Refusal`].
pub const REFUSAL_BODY_BYTES: usize = 1024;

/// Error of an attempt. Its text is for logs and conditions, not for the sender.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The listener's Service has no ready endpoint.
    #[error("the listener's Service has no ready endpoint")]
    NoEndpoints,
    /// The connection could not be established.
    #[error("{}", no_connection(.0))]
    Connect(#[from] ConnectError),
    /// The connection broke before the response was complete, or the response is not valid HTTP.
    #[error("no valid response from the listener: {0}")]
    Http(#[from] ResponseError),
    /// The listener answered with a status other than 2xx.
    #[error("the listener answered {}", .0.status)]
    Refused(Box<Refusal>),
    /// The listener did not answer in time.
    #[error("the listener did not answer within {0:?}")]
    Timeout(Duration),
    /// The body of a response that is kept is too long.
    #[error("the listener's response is longer than {MAX_RESPONSE_BYTES} bytes")]
    ResponseTooLarge,
    /// The memory budget of the server or of the app has no room for a response that is kept.
    #[error("no memory for the listener's response")]
    NoMemory,
}

/// For a denied network the message names the field that the tenant has to correct.
fn no_connection(why: &ConnectError) -> String {
    match why {
        ConnectError::NetworkDenied => {
            "listener.url resolves to a network that is denied by --egress-deny-cidr".into()
        }
        _ => format!("no connection to the listener: {why}"),
    }
}

/// The outcome of an attempt.
pub fn outcome<T>(called: &Result<T, CallError>) -> AttemptOutcome {
    match called {
        Ok(_) => AttemptOutcome::Succeeded,
        Err(CallError::Refused(_)) => AttemptOutcome::Refused,
        Err(CallError::Timeout(_)) => AttemptOutcome::Timeout,
        Err(CallError::Connect(_)) => AttemptOutcome::Connect,
        Err(CallError::Http(_) | CallError::ResponseTooLarge | CallError::NoMemory) => {
            AttemptOutcome::Http
        }
        Err(CallError::NoEndpoints) => AttemptOutcome::NoEndpoints,
    }
}
