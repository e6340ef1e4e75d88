//! The HTTP server under the public ports: accepting, limits, drain, and the one error type.

mod accept;
mod activity;
mod connection;
mod drain;
mod error;
mod limits;
pub mod proxy_protocol;
mod service;
mod sniff;
mod tls;

pub use accept::Acceptor;
pub use drain::{Drain, Phase, phases};
pub use error::{HttpError, json_response};
pub use limits::Limits;
pub use service::Peer;
pub use tls::{CertificateFiles, TlsError};
