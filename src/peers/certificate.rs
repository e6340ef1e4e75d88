//! The short-lived certificate of this replica. The first connection after the renewal age renews
//! it.
//!
//! It is renewed on use and not by a timer: no background task can fail, and a machine that was
//! suspended has a new certificate on its first connection.

use std::sync::Arc;

use parking_lot::Mutex;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;

use super::authority::{Authority, CredentialsError};

/// How long a certificate is valid, in seconds.
const LIFETIME: u64 = 24 * 60 * 60;

/// Age at which a certificate is renewed, in seconds.
const RENEWAL: u64 = LIFETIME / 2;

/// How far the clock of another replica may be behind, in seconds.
const CLOCK_SKEW: u64 = 60 * 60;

/// The current certificate, for both servers and clients.
#[derive(Debug)]
pub struct CurrentCertificate {
    authority: Authority,
    clock: Arc<dyn TimeProvider>,
    issued: Mutex<Issued>,
}

#[derive(Debug)]
struct Issued {
    /// Seconds since 1970.
    at: u64,
    key: Arc<CertifiedKey>,
}

impl Issued {
    fn new(authority: &Authority, now: u64) -> Result<Self, CredentialsError> {
        let key = authority.issue(now.saturating_sub(CLOCK_SKEW), now + LIFETIME)?;
        Ok(Self { at: now, key: Arc::new(key) })
    }

    /// A certificate from the future is not fresh either: the clock was set back.
    fn is_fresh(&self, now: u64) -> bool {
        now.checked_sub(self.at).is_some_and(|age| age < RENEWAL)
    }
}

impl CurrentCertificate {
    /// Issues the first certificate.
    pub fn new(
        authority: Authority,
        clock: Arc<dyn TimeProvider>,
    ) -> Result<Self, CredentialsError> {
        let now = clock.current_time().ok_or(rustls::Error::FailedToGetCurrentTime)?;
        let issued = Mutex::new(Issued::new(&authority, now.as_secs())?);
        Ok(Self { authority, clock, issued })
    }

    /// The certificate for a connection that begins now.
    fn get(&self) -> Option<Arc<CertifiedKey>> {
        let now = self.clock.current_time()?.as_secs();
        let mut issued = self.issued.lock();
        if !issued.is_fresh(now) {
            match Issued::new(&self.authority, now) {
                Ok(renewed) => *issued = renewed,
                // The next connection tries again. The old certificate is still valid for half its
                // lifetime.
                Err(error) => tracing::error!(%error, "cannot renew the certificate for peers"),
            }
        }
        Some(issued.key.clone())
    }
}

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.get()
    }
}

impl ResolvesClientCert for CurrentCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.get()
    }

    fn has_certs(&self) -> bool {
        true
    }
}
