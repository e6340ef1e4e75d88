//! TLS between replicas: version 1.3 alone, and each side proves with its certificate that it has the
//! identity key before a byte of a request is sent.
//!
//! No session is resumed: a resumed one would skip the certificates, and a replica is asked too seldom for
//! it to matter.

use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::authority::Authority;
pub use super::authority::CredentialsError;
use super::certificate::Current;
use crate::plan::identity::IdentityKey;

/// What a replica speaks: peers are asked with HTTP/1.1.
const ALPN: &[u8] = b"http/1.1";

/// How a replica proves itself, and what it asks of others.
#[derive(Clone)]
pub struct Credentials {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Credentials {
    /// The credentials that an identity key gives.
    ///
    /// # Errors
    /// When a certificate cannot be made, as without randomness.
    pub fn new(identity: &IdentityKey) -> Result<Self, CredentialsError> {
        Self::with_clock(identity, Arc::new(DefaultTimeProvider))
    }

    /// The same by another clock, by which certificates are made and verified.
    ///
    /// # Errors
    /// See [`Self::new`].
    pub fn with_clock(
        identity: &IdentityKey,
        clock: Arc<dyn TimeProvider>,
    ) -> Result<Self, CredentialsError> {
        let authority = Authority::derive(identity)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate())?;
        let roots = Arc::new(roots);
        let current = Arc::new(Current::new(authority, clock.clone())?);
        let server = server(roots.clone(), current.clone(), clock.clone())?;
        let client = client(roots, current, clock)?;
        Ok(Self { server: Arc::new(server), client: Arc::new(client) })
    }

    /// For the port that peers call.
    pub fn server(&self) -> Arc<ServerConfig> {
        self.server.clone()
    }

    /// For calls to peers.
    pub fn client(&self) -> Arc<ClientConfig> {
        self.client.clone()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

fn server(
    roots: Arc<RootCertStore>,
    current: Arc<Current>,
    clock: Arc<dyn TimeProvider>,
) -> Result<ServerConfig, CredentialsError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build()?;
    let mut config = ServerConfig::builder_with_details(provider, clock)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(current);
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn client(
    roots: Arc<RootCertStore>,
    current: Arc<Current>,
    clock: Arc<dyn TimeProvider>,
) -> Result<ClientConfig, CredentialsError> {
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_details(provider, clock)
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_client_cert_resolver(current);
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

#[cfg(test)]
mod tests;
