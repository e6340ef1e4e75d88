//! Connections to hosts that tenants name. Each connect checks the resolved addresses against the
//! address policy, because a name may resolve to another address each time.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::ConnectError;
use super::http1::ListenerStream;
use crate::plan::address::AddressPolicy;
use crate::resources::Scheme;
use crate::routes::{Host, Origin};
use crate::trust;

/// Timeout of a connect while another address or endpoint is left to try.
pub const ONE_OF_SEVERAL: Duration = Duration::from_secs(3);

/// Connects to listeners and to the issuers of key sets.
pub struct Connector {
    addresses: AddressPolicy,
    /// Trusted certificates in addition to the system's.
    extra_roots: Vec<CertificateDer<'static>>,
    tls: OnceLock<TlsConnector>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Connector {
    /// A connector that trusts the certificate authorities of the system and those in `ca_file`.
    ///
    /// # Errors
    /// If the file cannot be read or contains no certificate.
    pub fn new(addresses: AddressPolicy, ca_file: Option<PathBuf>) -> io::Result<Arc<Self>> {
        let extra_roots =
            ca_file.as_deref().map(trust::read_roots).transpose()?.unwrap_or_default();
        Ok(Arc::new(Self { addresses, extra_roots, tls: OnceLock::new() }))
    }

    /// Establishes a connection, including the TLS handshake.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(&self, origin: &Origin) -> Result<ListenerStream, ConnectError> {
        let stream = self.connect_tcp(origin).await?;
        match origin.scheme {
            Scheme::Http => Ok(ListenerStream::Tcp(stream)),
            Scheme::Https => {
                let name = ServerName::try_from(origin.server_name.to_string());
                let name = name.map_err(|error| ConnectError::Tls(io::Error::other(error)))?;
                let stream = self.tls().connect(name, stream).await.map_err(ConnectError::Tls)?;
                Ok(ListenerStream::Tls(Box::new(stream)))
            }
        }
    }

    async fn connect_tcp(&self, origin: &Origin) -> Result<TcpStream, ConnectError> {
        let found = resolve(origin).await.map_err(ConnectError::Resolve)?;
        let mut last = ConnectError::AddressRefused;
        let mut addresses = Vec::new();
        for address in found {
            match self.addresses.check(address.ip(), origin.named_by) {
                Ok(()) => addresses.push(address),
                Err(refusal) => last = refusal.into(),
            }
        }
        for address in &addresses {
            let limit = if addresses.len() > 1 { ONE_OF_SEVERAL } else { Duration::MAX };
            match timeout(limit, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true).map_err(ConnectError::Tcp)?;
                    return Ok(stream);
                }
                Ok(Err(error)) => last = ConnectError::Tcp(error),
                Err(_) => last = ConnectError::Tcp(io::ErrorKind::TimedOut.into()),
            }
        }
        Err(last)
    }

    /// Created on first use, because reading the system's certificate authorities is slow.
    fn tls(&self) -> &TlsConnector {
        self.tls
            .get_or_init(|| TlsConnector::from(Arc::new(trust::client_config(&self.extra_roots))))
    }
}

async fn resolve(origin: &Origin) -> io::Result<Vec<SocketAddr>> {
    match &origin.host {
        Host::Address(address) => Ok(vec![SocketAddr::new(*address, origin.port)]),
        Host::Name(name) => match name.parse::<IpAddr>() {
            Ok(address) => Ok(vec![SocketAddr::new(address, origin.port)]),
            Err(_) => Ok(tokio::net::lookup_host((&**name, origin.port)).await?.collect()),
        },
    }
}
