//! TLS on the trigger port. The certificate is loaded from files and reloaded when they change.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The interval between checks of the files. The kubelet takes up to a minute to update a mounted
/// Secret, so a shorter one gains nothing.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The reason why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// A file has invalid content.
    #[error("cannot use {} as {what}: {why}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The expected content.
        what: &'static str,
        /// The cause.
        why: String,
    },
}

/// A certificate chain and its private key, both PEM.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The current certificate.
#[derive(Debug)]
struct CurrentCertificate(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl CertificateFiles {
    /// Returns the server's TLS configuration, and a task that reloads its certificate.
    ///
    /// # Errors
    /// If the files cannot be read, are not a certificate and a key, or do not match each other.
    pub fn config(self) -> Result<(Arc<ServerConfig>, impl Future<Output = ()>), TlsError> {
        let current = Arc::new(CurrentCertificate(ArcSwap::from_pointee(self.read()?)));
        let mut config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(|error| self.unusable("protocol version", &error))?
            .with_no_client_auth()
            .with_cert_resolver(current.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok((Arc::new(config), self.reload_on_change(current)))
    }

    async fn reload_on_change(self, current: Arc<CurrentCertificate>) {
        let mut seen = self.modified();
        loop {
            tokio::time::sleep(CHECK_INTERVAL).await;
            let now = self.modified();
            if now == seen {
                continue;
            }
            match self.read() {
                Ok(fresh) => {
                    current.0.store(Arc::new(fresh));
                    seen = now;
                    tracing::info!("reloaded the TLS certificate");
                }
                // Partially written files are read again at the next check.
                Err(error) => {
                    tracing::warn!(%error, "cannot reload the TLS certificate; keeping the current one")
                }
            }
        }
    }

    fn modified(&self) -> [Option<SystemTime>; 2] {
        [&self.certificate, &self.key].map(|path| fs::metadata(path).ok()?.modified().ok())
    }

    fn read(&self) -> Result<CertifiedKey, TlsError> {
        let chain = CertificateDer::pem_slice_iter(&read(&self.certificate)?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| self.unusable("certificate", &error))?;
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?).map_err(|error| {
            TlsError::Unusable {
                path: self.key.clone(),
                what: "private key",
                why: error.to_string(),
            }
        })?;
        CertifiedKey::from_der(chain, key, &ring::default_provider())
            .map_err(|error| self.unusable("certificate for the key", &error))
    }

    fn unusable(&self, what: &'static str, why: &dyn std::fmt::Display) -> TlsError {
        TlsError::Unusable { path: self.certificate.clone(), what, why: why.to_string() }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| TlsError::Unreadable { path: path.into(), error })
}
