//! The encoding of a key in the text of a secret.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::Secret;
use super::encoding::hex;
use super::key::{Algorithm, VerifyingKey};
use super::public_key;

/// Standard base64, with or without padding: users copy secrets by hand and lose the padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The encoding of a key in the text of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretForm {
    /// The bytes of the text are the key, whatever they look like.
    Verbatim,
    /// Base64 after a prefix.
    Base64 {
        /// The prefix that marks the type of the key.
        prefix: &'static str,
        /// Whether the prefix is optional.
        bare: bool,
    },
    /// Hexadecimal digits.
    Hex,
    /// A public key in any of the usual forms: PEM, JWK, or SubjectPublicKeyInfo or the bare key in
    /// base64 or hexadecimal digits.
    PublicKey,
}

impl SecretForm {
    /// The key of an algorithm in a secret; `None` if the secret does not have this form.
    pub(super) fn verifying_key(
        self,
        algorithm: Algorithm,
        secret: &Secret,
    ) -> Option<VerifyingKey> {
        match self {
            Self::PublicKey => {
                let key = public_key::read(algorithm, secret.bytes())?;
                VerifyingKey::public(algorithm, key)
            }
            Self::Verbatim | Self::Base64 { .. } | Self::Hex => {
                VerifyingKey::new(algorithm, &self.key(secret)?)
            }
        }
    }

    /// Decodes the bytes of a key; `None` if the secret does not have this form.
    fn key(self, secret: &Secret) -> Option<Zeroizing<Vec<u8>>> {
        let text = secret.bytes();
        match self {
            Self::Verbatim | Self::PublicKey => Some(Zeroizing::new(text.to_vec())),
            Self::Base64 { prefix, bare } => {
                // A trailing line break is not part of the encoding.
                let text = text.trim_ascii();
                // Supabase shows its secrets with the version of the signature in front.
                let versioned =
                    text.strip_prefix(b"v1,").filter(|rest| rest.starts_with(b"whsec_"));
                let text = versioned.unwrap_or(text);
                let without = text.strip_prefix(prefix.as_bytes());
                base64(without.or(bare.then_some(text))?)
            }
            Self::Hex => {
                let text = text.trim_ascii();
                let mut key = Zeroizing::new(vec![0; text.len() / 2]);
                hex(text, &mut key).map(|()| key)
            }
        }
    }

    /// The form of a key of this algorithm, for error messages.
    pub(super) fn description(self, algorithm: Algorithm) -> &'static str {
        match self {
            Self::Verbatim => "any text",
            Self::Base64 { prefix: "whsec_", .. } => "base64 after whsec_",
            Self::Base64 { prefix: "whpk_", .. } => "the base64 of 32 bytes after whpk_",
            Self::Base64 { .. } if algorithm.jose().is_some() => "a public key in base64",
            Self::Base64 { .. } => "base64",
            Self::Hex if algorithm == Algorithm::Ed25519 => {
                "the 64 hexadecimal digits of an Ed25519 public key"
            }
            Self::Hex if algorithm.jose().is_some() => "a public key in hexadecimal digits",
            Self::Hex => "a secret in hexadecimal digits",
            Self::PublicKey => public_key_forms(algorithm),
        }
    }
}

/// The forms of a public key of an algorithm, for error messages.
fn public_key_forms(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::EcdsaP256 => "a public key of the curve P-256, as PEM, JWK or base64",
        Algorithm::RsaSha256 => "an RSA public key of 2048 to 8192 bits, as PEM, JWK or base64",
        _ => "an Ed25519 public key, as PEM, JWK, base64 or hexadecimal digits",
    }
}

/// Decodes into memory that is zeroed on every return path.
pub(super) fn base64(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut key = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
    let len = BASE64.decode_slice(text, &mut key).ok().filter(|len| *len > 0)?;
    key.truncate(len);
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYMMETRIC: SecretForm = SecretForm::Base64 { prefix: "whsec_", bare: true };
    const PUBLIC: SecretForm = SecretForm::Base64 { prefix: "whpk_", bare: false };

    fn key(form: SecretForm, text: &str) -> Option<Vec<u8>> {
        form.key(&Secret::new(text.into()).unwrap()).map(|key| key.to_vec())
    }

    #[test]
    fn a_verbatim_secret_is_not_decoded_however_it_looks() {
        assert_eq!(key(SecretForm::Verbatim, "whsec_AQID\n"), Some(b"whsec_AQID\n".to_vec()));
    }

    #[test]
    fn base64_is_decoded_after_its_prefix() {
        for text in
            ["whsec_AQIDBA==", "whsec_AQIDBA", "AQIDBA==", " whsec_AQIDBA==\n", "v1,whsec_AQIDBA=="]
        {
            assert_eq!(key(SYMMETRIC, text), Some(vec![1, 2, 3, 4]), "{text}");
        }
        for text in [
            "whsec_",
            "whpk_AQIDBA==",
            "whsk_AQIDBA==",
            "v1,AQIDBA==",
            "whsec_AQI DBA",
            "not base64!",
        ] {
            assert_eq!(key(SYMMETRIC, text), None, "{text}");
        }
        assert_eq!(key(PUBLIC, "whpk_AQIDBA=="), Some(vec![1, 2, 3, 4]));
        assert_eq!(key(PUBLIC, "AQIDBA=="), None);
    }

    #[test]
    fn a_secret_in_hexadecimal_digits_is_called_a_public_key_only_where_it_is_one() {
        let form = |algorithm| SecretForm::Hex.description(algorithm);
        assert_eq!(form(Algorithm::Ed25519), "the 64 hexadecimal digits of an Ed25519 public key");
        for algorithm in [Algorithm::HmacSha1, Algorithm::HmacSha256, Algorithm::HmacSha384] {
            assert_eq!(form(algorithm), "a secret in hexadecimal digits");
        }
    }

    #[test]
    fn hexadecimal_digits_are_decoded() {
        assert_eq!(key(SecretForm::Hex, "01fF\n"), Some(vec![1, 255]));
        assert_eq!(key(SecretForm::Hex, "01f"), None);
        assert_eq!(key(SecretForm::Hex, "01fg"), None);
    }
}
