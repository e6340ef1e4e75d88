//! The HTTP server of the public ports: accept loop, limits, drain, and the error type.

mod accept;
mod activity;
mod bearer;
mod body;
mod client;
mod connection;
mod connections;
mod drain;
mod error;
pub mod frames;
pub mod framing;
mod limits;
mod networks;
pub mod opening;
pub mod proxy_protocol;
mod replay;
mod secret_names;
mod service;
mod tls;

pub use accept::Acceptor;
pub use bearer::{NoBearer, api_response, bearer};
pub use body::{BodyError, read_body};
pub use client::{client_address, client_network};
pub use connections::ConnectionCounts;
pub use drain::{Drain, Phase, phases};
pub use error::{HttpError, json, json_response};
pub use limits::{CLIENT_SHARE, Limits};
pub use networks::Networks;
pub use secret_names::is_secret;
pub use service::{Peer, peer_of};
pub use tls::{CertificateFiles, TlsError};
