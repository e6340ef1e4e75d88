//! Prepares keys from secrets, once per configuration change.

use std::fmt;

use ring::{hmac, signature};
use subtle::ConstantTimeEq;

/// A signature algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC (RFC 2104) with SHA-1, for providers that offer nothing stronger.
    HmacSha1,
    /// HMAC with SHA-256.
    HmacSha256,
    /// HMAC with SHA-512.
    HmacSha512,
    /// Ed25519 (RFC 8032): the secret is a public key.
    Ed25519,
}

impl Algorithm {
    /// The length of a signature, in bytes.
    pub(super) fn signature_len(self) -> usize {
        match self {
            Self::HmacSha1 => 20,
            Self::HmacSha256 => 32,
            Self::HmacSha512 | Self::Ed25519 => 64,
        }
    }
}

/// A key that verifies signatures.
pub enum VerifyingKey {
    /// A MAC key.
    Mac(MacKey),
    /// A public key.
    Ed25519([u8; 32]),
}

/// A key and the message that it must have signed; signatures are compared with it.
pub(super) enum Expected<'k> {
    Mac(hmac::Tag),
    Ed25519 { key: &'k [u8; 32], message: Vec<u8> },
}

impl VerifyingKey {
    /// Creates a key from bytes; `None` if they are not a valid key of the algorithm.
    pub(super) fn new(algorithm: Algorithm, bytes: &[u8]) -> Option<Self> {
        let mac = |algorithm| Some(Self::Mac(MacKey(hmac::Key::new(algorithm, bytes))));
        match algorithm {
            Algorithm::HmacSha1 => mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
            Algorithm::HmacSha256 => mac(hmac::HMAC_SHA256),
            Algorithm::HmacSha512 => mac(hmac::HMAC_SHA512),
            Algorithm::Ed25519 => bytes.try_into().ok().map(Self::Ed25519),
        }
    }

    /// Reads the message piece by piece. Only Ed25519 copies it, as ring's implementation requires
    /// one contiguous slice.
    pub(super) fn expect(&self, pieces: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Expected<'_> {
        match self {
            Self::Mac(key) => Expected::Mac(key.sign(pieces)),
            Self::Ed25519(key) => {
                let mut message = Vec::new();
                pieces(&mut |piece| message.extend_from_slice(piece));
                Expected::Ed25519 { key, message }
            }
        }
    }

    /// The MAC key; `None` for a public key.
    pub(super) fn mac(&self) -> Option<&MacKey> {
        match self {
            Self::Mac(key) => Some(key),
            Self::Ed25519(_) => None,
        }
    }
}

impl Expected<'_> {
    /// Whether a signature is valid. MACs are compared in constant time.
    pub(super) fn matches(&self, given: &[u8]) -> bool {
        match self {
            Self::Mac(tag) => tag.as_ref().ct_eq(given).into(),
            Self::Ed25519 { key, message } => {
                let key = signature::UnparsedPublicKey::new(&signature::ED25519, key);
                key.verify(message, given).is_ok()
            }
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
        for algorithm in [hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, hmac::HMAC_SHA256, hmac::HMAC_SHA512]
        {
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
        for algorithm in [Algorithm::HmacSha1, Algorithm::HmacSha256, Algorithm::HmacSha512] {
            let Some(VerifyingKey::Mac(key)) = VerifyingKey::new(algorithm, b"k") else { panic!() };
            assert_eq!(key.sign(|_| ()).as_ref().len(), algorithm.signature_len());
        }
    }

    #[test]
    fn a_public_key_has_32_bytes() {
        assert!(VerifyingKey::new(Algorithm::Ed25519, &[1; 31]).is_none());
        assert!(VerifyingKey::new(Algorithm::Ed25519, &[1; 32]).is_some());
        assert!(VerifyingKey::new(Algorithm::Ed25519, &[1; 33]).is_none());
    }
}
