//! The signature algorithms of tokens, and the keys that each requires.

use ring::signature::{self, RsaParameters, UnparsedPublicKey, VerificationAlgorithm};

/// An algorithm with a public key (RFC 7518, section 3.1; RFC 8037; RFC 9864). `none` and HMAC are
/// excluded on purpose: `none` is unsigned, and HMAC would use the public key as its secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of RFC 7518")]
pub enum JwtAlgorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

/// A public key. Its type determines the allowed algorithms, whatever the token's header claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// An RSA key; the numbers are big-endian, without leading zeros.
    Rsa {
        /// The modulus.
        modulus: Vec<u8>,
        /// The public exponent.
        exponent: Vec<u8>,
    },
    /// An uncompressed point.
    P256(Vec<u8>),
    /// An uncompressed point.
    P384(Vec<u8>),
    /// The 32 bytes of RFC 8032.
    Ed25519(Vec<u8>),
}

impl JwtAlgorithm {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }

    /// The RSA parameters of this algorithm, for at least 2048 bits (RFC 7518, section 3.3).
    fn rsa(self) -> Option<&'static RsaParameters> {
        Some(match self {
            Self::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Self::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Self::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
            Self::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
            Self::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
            Self::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
            Self::Es256 | Self::Es384 | Self::EdDsa => return None,
        })
    }
}

impl PublicKey {
    /// Whether the key has the type that the algorithm requires.
    pub(in crate::verify) fn fits(&self, algorithm: JwtAlgorithm) -> bool {
        match self {
            Self::Rsa { .. } => algorithm.rsa().is_some(),
            Self::P256(_) => algorithm == JwtAlgorithm::Es256,
            Self::P384(_) => algorithm == JwtAlgorithm::Es384,
            Self::Ed25519(_) => algorithm == JwtAlgorithm::EdDsa,
        }
    }

    /// Whether this key made the signature, with an algorithm that it fits.
    pub(in crate::verify) fn verify(
        &self,
        algorithm: JwtAlgorithm,
        signed: &[u8],
        signature: &[u8],
    ) -> bool {
        let by = |how: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(how, key).verify(signed, signature).is_ok()
        };
        if !self.fits(algorithm) {
            return false;
        }
        match self {
            Self::P256(point) => by(&signature::ECDSA_P256_SHA256_FIXED, point),
            Self::P384(point) => by(&signature::ECDSA_P384_SHA384_FIXED, point),
            Self::Ed25519(key) => by(&signature::ED25519, key),
            Self::Rsa { modulus, exponent } => algorithm.rsa().is_some_and(|how| {
                let key = signature::RsaPublicKeyComponents { n: modulus, e: exponent };
                key.verify(how, signed, signature).is_ok()
            }),
        }
    }
}
