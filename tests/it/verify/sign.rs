//! Signatures made here, for requests that no vector has.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::hmac;

pub fn digits(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn mac(algorithm: hmac::Algorithm, secret: &[u8], message: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(algorithm, secret), message.as_bytes())
}

/// HMAC-SHA256 in hexadecimal digits.
pub fn hex(secret: &[u8], message: &str) -> String {
    digits(mac(hmac::HMAC_SHA256, secret, message))
}

/// HMAC-SHA256 in base64.
pub fn base64(secret: &[u8], message: &str) -> String {
    BASE64_STANDARD.encode(mac(hmac::HMAC_SHA256, secret, message))
}

/// HMAC-SHA1.
pub fn sha1(secret: &[u8], message: &str) -> Vec<u8> {
    mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret, message).as_ref().into()
}
