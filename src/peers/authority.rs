//! The certificate authority that all replicas of an operator share: its key is derived from the identity
//! key, so that no certificate has to be distributed. A process without the identity key has no certificate
//! that this authority has signed.

use std::fmt;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_ED25519, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use crate::plan::identity::IdentityKey;

/// The name in the certificate of each replica. It is the same for all of them, because a replica is reached
/// by an address that changes; `.internal` is reserved for private use and in no public certificate.
pub const REPLICA_NAME: &str = "replica.webhook-operator.internal";

/// What the key is derived for. Another label gives an unrelated key.
const PURPOSE: &str = "peer-authority";

/// An Ed25519 private key in PKCS#8 up to its 32 bytes (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// Why there are no certificates.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// TLS does not take what was made.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The certificates of clients cannot be verified.
    #[error("cannot set up the verification of certificates: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// Signs the certificates of replicas.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// The authority of an identity key: the same key and name in each process that has the identity key.
    pub fn derive(identity: &IdentityKey) -> Result<Self, CredentialsError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name("webhook-operator replicas");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Ok(Self(CertifiedIssuer::self_signed(params, key(identity)?)?))
    }

    /// The authority's own certificate, which is the only one that replicas trust.
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// A new key with a certificate for both sides of a connection; times are seconds since 1970.
    pub fn issue(&self, not_before: u64, not_after: u64) -> Result<CertifiedKey, CredentialsError> {
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let mut params = CertificateParams::new([REPLICA_NAME.to_owned()])?;
        params.distinguished_name = common_name("webhook-operator replica");
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = date_time_ymd(1970, 1, 1) + Duration::from_secs(not_before);
        params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(not_after);
        let certificate = params.signed_by(&key, &self.0)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let chain = vec![certificate.der().clone()];
        Ok(CertifiedKey::from_der(chain, key.into(), &ring::default_provider())?)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority(..)")
    }
}

/// Ed25519, because each 32 bytes are a private key: no search for a valid scalar.
fn key(identity: &IdentityKey) -> Result<KeyPair, rcgen::Error> {
    let seed = identity.derive(PURPOSE);
    let der = Zeroizing::new([&PKCS8_PREFIX[..], seed.as_ref()].concat());
    KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(&der[..]), &PKCS_ED25519)
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished_name = DistinguishedName::new();
    distinguished_name.push(DnType::CommonName, name);
    distinguished_name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public_key(identity: u8) -> Vec<u8> {
        let identity = IdentityKey::new(&[identity; 32]).unwrap();
        key(&identity).unwrap().public_key_raw().to_vec()
    }

    #[test]
    fn the_key_of_the_authority_depends_on_the_identity_key_alone() {
        assert_eq!(public_key(1), public_key(1));
        assert_ne!(public_key(1), public_key(2));
    }
}
