//! Trusted certificate authorities of TLS clients.

use std::io;
use std::path::Path;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Reads the certificates of a PEM file.
///
/// # Errors
/// If the file cannot be read or is not valid PEM.
pub fn read_roots(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let invalid = |error: rustls::pki_types::pem::Error| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))
    };
    let roots = CertificateDer::pem_file_iter(path).map_err(invalid)?;
    roots.collect::<Result<Vec<_>, _>>().map_err(invalid)
}

/// Creates a client configuration that trusts the system's certificate authorities and `extra`.
/// Slow: it reads the system's certificate store.
pub fn client_config(extra: &[CertificateDer<'static>]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots.add_parsable_certificates(extra.iter().cloned());
    let builder = ClientConfig::builder_with_provider(ring::default_provider().into());
    builder
        .with_safe_default_protocol_versions()
        .expect("ring has the cipher suites of the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
