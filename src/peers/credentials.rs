//! Mutual TLS between replicas, version 1.3 only: each side proves with its certificate that it has
//! the identity key before a byte of a request is sent.
//!
//! Session resumption is disabled, because it would skip the certificates. Calls between replicas
//! are too rare to benefit from it.

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
use super::certificate::CurrentCertificate;
use crate::plan::identity::IdentityKey;

/// The protocol between replicas.
const ALPN: &[u8] = b"http/1.1";

/// TLS configurations with which a replica authenticates itself and verifies its peers.
#[derive(Clone)]
pub struct Credentials {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Credentials {
    /// The credentials of an identity key.
    ///
    /// # Errors
    /// If a certificate cannot be created, for example without a source of randomness.
    pub fn new(identity: &IdentityKey) -> Result<Self, CredentialsError> {
        Self::with_clock(identity, Arc::new(DefaultTimeProvider))
    }

    /// Like [`Self::new`], with a clock that determines the issue and the verification of
    /// certificates.
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
        let current = Arc::new(CurrentCertificate::new(authority, clock.clone())?);
        let server = server(roots.clone(), current.clone(), clock.clone())?;
        let client = client(roots, current, clock)?;
        Ok(Self { server: Arc::new(server), client: Arc::new(client) })
    }

    /// The configuration of the port that peers call.
    pub fn server(&self) -> Arc<ServerConfig> {
        self.server.clone()
    }

    /// The configuration of calls to peers.
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
    current: Arc<CurrentCertificate>,
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
    current: Arc<CurrentCertificate>,
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
