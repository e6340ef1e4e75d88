//! Reads public keys that users put into a Secret: PEM, JWK, or SubjectPublicKeyInfo or the bare key
//! in base64 or hexadecimal digits.
//!
//! PEM is read here, as it is a few lines once its base64 is decoded: the available readers look for
//! a key anywhere in a text, and skip what they do not know.

use super::encoding::hex;
use super::jwt::{self, PublicKey};
use super::key::Algorithm;
use super::secret_form::base64;
use super::spki;

const PEM_BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const PEM_END: &str = "-----END PUBLIC KEY-----";

/// The longest text of a key, in bytes. A key of 8192 bits has about 1500.
const MAX_TEXT: usize = 8 * 1024;

/// Reads a key of the algorithm from a text in any of the forms; `None` if it is none.
pub(super) fn read(algorithm: Algorithm, text: &[u8]) -> Option<PublicKey> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= MAX_TEXT)?.trim_ascii();
    if text.starts_with('{') {
        return jwt::read_jwk(text.as_bytes(), algorithm.jose()?).filter(has_allowed_size);
    }
    if text.starts_with('-') {
        let body = text.strip_prefix(PEM_BEGIN)?.strip_suffix(PEM_END)?;
        return of_bytes(algorithm, &base64(&without_blanks(body))?);
    }
    let text = without_blanks(text);
    let mut digits = vec![0; text.len() / 2];
    let of_hex = hex(&text, &mut digits).and_then(|()| of_bytes(algorithm, &digits));
    of_hex.or_else(|| of_bytes(algorithm, &base64(&text)?))
}

/// Reads a key of the algorithm: a SubjectPublicKeyInfo, or the bare key of a curve.
pub(super) fn of_bytes(algorithm: Algorithm, bytes: &[u8]) -> Option<PublicKey> {
    let key = match (algorithm, bytes.len(), bytes.first()) {
        (Algorithm::Ed25519, 32, _) => PublicKey::Ed25519(bytes.into()),
        // An uncompressed point (SEC 1, section 2.3.3).
        (Algorithm::EcdsaP256, 65, Some(4)) => PublicKey::P256(bytes.into()),
        _ => spki::read(bytes)?,
    };
    Some(key)
        .filter(|key| algorithm.jose().is_some_and(|jose| key.fits(jose)))
        .filter(has_allowed_size)
}

/// Whether signatures of the key can be verified: of RSA, 2048 to 8192 bits.
fn has_allowed_size(key: &PublicKey) -> bool {
    match key {
        PublicKey::Rsa { modulus, .. } => {
            let unused = modulus.first().map_or(0, |first| first.leading_zeros() as usize);
            (2048..=8192).contains(&(modulus.len() * 8 - unused))
        }
        PublicKey::P256(_) | PublicKey::P384(_) | PublicKey::Ed25519(_) => true,
    }
}

fn without_blanks(text: &str) -> Vec<u8> {
    text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect()
}
