//! Prepares keys from secrets, once per configuration change.

use std::fmt;
use std::ops::RangeInclusive;

use ring::hmac;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use subtle::ConstantTimeEq;

use super::jwt::{JwtAlgorithm, PublicKey};
use super::public_key;

/// A signature algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC (RFC 2104) with SHA-1, for providers that offer nothing stronger.
    HmacSha1,
    /// HMAC with SHA-256.
    HmacSha256,
    /// HMAC with SHA-384.
    HmacSha384,
    /// HMAC with SHA-512.
    HmacSha512,
    /// Ed25519 (RFC 8032): the secret is a public key.
    Ed25519,
    /// ECDSA on P-256 with SHA-256 (FIPS 186-5): the secret is a public key. The signature is in DER
    /// (RFC 3279, section 2.2.3), or two numbers of 32 bytes; distinguished by its length.
    EcdsaP256,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 8.2): the secret is a public key of 2048 to
    /// 8192 bits.
    RsaSha256,
}

/// The length of a signature of [`Algorithm::EcdsaP256`] that is not in DER, in bytes.
const FIXED_ECDSA: usize = 64;

impl Algorithm {
    /// The possible lengths of a signature, in bytes.
    pub(super) fn signature_lengths(self) -> RangeInclusive<usize> {
        match self {
            Self::HmacSha1 => 20..=20,
            Self::HmacSha256 => 32..=32,
            Self::HmacSha384 => 48..=48,
            Self::HmacSha512 | Self::Ed25519 => 64..=64,
            // A sequence of two integers, of 1 to 33 bytes each.
            Self::EcdsaP256 => 8..=72,
            Self::RsaSha256 => 256..=1024,
        }
    }

    /// The same algorithm among those of tokens; `None` for HMAC, which has no public keys.
    pub(super) fn jose(self) -> Option<JwtAlgorithm> {
        match self {
            Self::HmacSha1 | Self::HmacSha256 | Self::HmacSha384 | Self::HmacSha512 => None,
            Self::Ed25519 => Some(JwtAlgorithm::EdDsa),
            Self::EcdsaP256 => Some(JwtAlgorithm::Es256),
            Self::RsaSha256 => Some(JwtAlgorithm::Rs256),
        }
    }
}

/// A key that verifies signatures.
pub enum VerifyingKey {
    /// A MAC key.
    Mac(MacKey),
    /// A public key, and the algorithm of its signatures.
    Public(PublicKey, JwtAlgorithm),
}

/// A key and the message that it must have signed; signatures are compared with it.
pub(super) enum Expected<'k> {
    Mac(hmac::Tag),
    Public { key: &'k PublicKey, algorithm: JwtAlgorithm, message: Vec<u8> },
}

impl VerifyingKey {
    /// Creates a key from bytes; `None` if they are not a valid key of the algorithm. A public key is
    /// a SubjectPublicKeyInfo, or the bare key of a curve.
    pub(super) fn new(algorithm: Algorithm, bytes: &[u8]) -> Option<Self> {
        let mac = |algorithm| Some(Self::Mac(MacKey(hmac::Key::new(algorithm, bytes))));
        match algorithm {
            Algorithm::HmacSha1 => mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
            Algorithm::HmacSha256 => mac(hmac::HMAC_SHA256),
            Algorithm::HmacSha384 => mac(hmac::HMAC_SHA384),
            Algorithm::HmacSha512 => mac(hmac::HMAC_SHA512),
            Algorithm::Ed25519 | Algorithm::EcdsaP256 | Algorithm::RsaSha256 => {
                Self::public(algorithm, public_key::of_bytes(algorithm, bytes)?)
            }
        }
    }

    /// A public key; `None` if the algorithm has none.
    pub(super) fn public(algorithm: Algorithm, key: PublicKey) -> Option<Self> {
        algorithm.jose().map(|algorithm| Self::Public(key, algorithm))
    }

    /// Reads the message piece by piece. Only public keys copy it, as ring's implementation requires
    /// one contiguous slice.
    pub(super) fn expect(&self, pieces: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Expected<'_> {
        match self {
            Self::Mac(key) => Expected::Mac(key.sign(pieces)),
            Self::Public(key, algorithm) => {
                let mut message = Vec::new();
                pieces(&mut |piece| message.extend_from_slice(piece));
                Expected::Public { key, algorithm: *algorithm, message }
            }
        }
    }

    /// The MAC key; `None` for a public key.
    pub(super) fn mac(&self) -> Option<&MacKey> {
        match self {
            Self::Mac(key) => Some(key),
            Self::Public(..) => None,
        }
    }
}

impl Expected<'_> {
    /// Whether a signature is valid. MACs are compared in constant time.
    pub(super) fn matches(&self, given: &[u8]) -> bool {
        match self {
            Self::Mac(tag) => tag.as_ref().ct_eq(given).into(),
            Self::Public { key: PublicKey::P256(point), message, .. }
                if given.len() != FIXED_ECDSA =>
            {
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point);
                key.verify(message, given).is_ok()
            }
            Self::Public { key, algorithm, message } => key.verify(*algorithm, message, given),
        }
    }
}

/// A prepared MAC key: two hash states, which suffice to make signatures and so are secret.
pub struct MacKey(hmac::Key);

impl MacKey {
    /// Computes the MAC of a message that is passed piece by piece.
    pub(super) fn sign(&self, pieces: impl FnOnce(&mut dyn FnMut(&[u8]))) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        pieces(&mut |piece| context.update(piece));
        context.sign()
    }

    /// Overwrites the key with an empty one.
    fn overwrite(&mut self) {
        self.0 = hmac::Key::new(self.0.algorithm(), &[]);
        // Without this the compiler may remove the write as dead.
        std::hint::black_box(&self.0);
    }
}

/// ring does not clear its keys. Copies that it left on the stack cannot be cleared from here.
impl Drop for MacKey {
    fn drop(&mut self) {
        self.overwrite();
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyingKey(..)")
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_overwritten_makes_other_signatures() {
        for algorithm in [
            hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            hmac::HMAC_SHA256,
            hmac::HMAC_SHA384,
            hmac::HMAC_SHA512,
        ] {
            let mut key = MacKey(hmac::Key::new(algorithm, b"secret"));
            let sign = |key: &MacKey| key.sign(|take| take(b"data")).as_ref().to_vec();
            let before = sign(&key);
            key.overwrite();
            assert_ne!(before, sign(&key));
            assert_eq!(sign(&key), sign(&MacKey(hmac::Key::new(algorithm, b""))));
        }
    }

    #[test]
    fn the_length_of_a_signature_is_that_of_the_algorithm() {
        for algorithm in [
            Algorithm::HmacSha1,
            Algorithm::HmacSha256,
            Algorithm::HmacSha384,
            Algorithm::HmacSha512,
        ] {
            let Some(VerifyingKey::Mac(key)) = VerifyingKey::new(algorithm, b"k") else { panic!() };
            let len = key.sign(|_| ()).as_ref().len();
            assert_eq!(len..=len, algorithm.signature_lengths());
        }
    }

    #[test]
    fn a_public_key_has_32_bytes() {
        assert!(VerifyingKey::new(Algorithm::Ed25519, &[1; 31]).is_none());
        assert!(VerifyingKey::new(Algorithm::Ed25519, &[1; 32]).is_some());
        assert!(VerifyingKey::new(Algorithm::Ed25519, &[1; 33]).is_none());
    }
}
