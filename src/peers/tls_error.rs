//! Errors of TLS connections between replicas, grouped by what an administrator can do about them.
//! Pure.

use std::error::Error;
use std::io;

use rustls::CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};

/// Error of the TLS handshake between two replicas.
#[derive(Debug, thiserror::Error)]
pub enum PeerTlsError {
    /// The peer has not proved that it has the identity key.
    #[error("the certificate is not from this operator")]
    Untrusted,
    /// The peer has the identity key, but its certificate is not valid by the clock of this
    /// machine.
    #[error("the certificate is not valid at this time: the clocks of the machines differ")]
    OutOfDate,
    /// The peer rejected the certificate of this replica.
    #[error("the peer rejected this replica's certificate: {0:?}")]
    Rejected(rustls::AlertDescription),
    /// Any other failure, such as a peer that uses plain HTTP.
    #[error("no TLS connection: {0}")]
    Other(rustls::Error),
}

impl PeerTlsError {
    /// Finds the TLS error in the source chain of a connection error.
    pub fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(error) = error.downcast_ref::<rustls::Error>() {
                return Some(error.clone().into());
            }
            // `io::Error::source` skips the wrapped error itself, so it is taken from `get_ref`.
            let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            next = inner.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source());
        }
        None
    }
}

impl From<rustls::Error> for PeerTlsError {
    fn from(error: rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(
                Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. },
            ) => Self::OutOfDate,
            rustls::Error::InvalidCertificate(_) => Self::Untrusted,
            rustls::Error::AlertReceived(alert) => Self::Rejected(alert),
            error => Self::Other(error),
        }
    }
}
