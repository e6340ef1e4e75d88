//! The certificate authority shared by all replicas of an operator. Its key is derived from the
//! identity key, so no certificate has to be distributed, and a process without the identity key
//! cannot obtain a certificate of this authority.

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

/// The host name in the certificates of all replicas. It is the same for all, because the addresses
/// of replicas change. `.internal` is reserved for private use, so no public authority certifies
/// it.
pub const REPLICA_NAME: &str = "replica.webhook-operator.internal";

/// Label of the key derivation. Another label gives an unrelated key.
const PURPOSE: &str = "peer-authority";

/// PKCS#8 encoding of an Ed25519 private key, without the 32 bytes of the key (RFC 8410, section
/// 7).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// Error of creating credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The certificate could not be created.
    #[error("cannot create a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// rustls rejected the certificate or the configuration.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The verifier of client certificates could not be created.
    #[error("cannot set up the verification of client certificates: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// Signs the certificates of replicas.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// Derives the authority from an identity key: every process with this key gets the same key
    /// and name.
    pub fn derive(identity: &IdentityKey) -> Result<Self, CredentialsError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name("webhook-operator replicas");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Ok(Self(CertifiedIssuer::self_signed(params, key(identity)?)?))
    }

    /// The authority's own certificate: the only root that replicas trust.
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// Issues a new key with a certificate for servers and clients. Times are seconds since 1970.
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

/// The key is Ed25519, because any 32 bytes are a valid private key, without a search for a valid
/// scalar.
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
