//! Triggers signed as GitHub signs them.

use std::fmt::Write;

use ring::hmac;

use super::http::{Response, request};

/// HMAC-SHA256 in hexadecimal digits.
pub fn hmac_sha256(secret: &str, signed: impl AsRef<[u8]>) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, signed.as_ref());
    tag.as_ref().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Posts a signed event.
pub fn post(url: &str, secret: &str, body: &str) -> Response {
    let signature = format!("sha256={}", hmac_sha256(secret, body));
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Hub-Signature-256", signature.as_str()),
        ("X-GitHub-Event", "issues"),
    ];
    request("POST", url, &headers, body.as_bytes())
}
