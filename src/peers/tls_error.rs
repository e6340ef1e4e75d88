//! Why a TLS connection to a peer failed, as a person can act on it. Pure.

use std::error::Error;
use std::io;

use rustls::CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};

/// Why two replicas have no TLS connection.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The peer has not shown that it has the identity key.
    #[error("the certificate is not from this operator")]
    Untrusted,
    /// The peer has the identity key, but its certificate is not valid by the clock of this machine.
    #[error("the certificate is not valid at this time: the clocks of the machines differ")]
    OutOfDate,
    /// The peer does not accept the certificate of this replica.
    #[error("the replica does not accept the certificate of this one: {0:?}")]
    Rejected(rustls::AlertDescription),
    /// The peer speaks something else, such as plain HTTP.
    #[error("no TLS connection: {0}")]
    Other(rustls::Error),
}

impl TlsError {
    /// The failure of TLS that an error of a connection is about, if there is one.
    pub fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(error) = error.downcast_ref::<rustls::Error>() {
                return Some(error.clone().into());
            }
            // An `io::Error` has what it carries as its inner value, and not as its source.
            let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            next = inner.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source());
        }
        None
    }
}

impl From<rustls::Error> for TlsError {
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
