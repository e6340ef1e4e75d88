//! What GitHub sends beside a body, as far as a receiver looks at it.

use std::fmt::Write as _;

use ring::hmac;

use bench_kit::http::Headers;

/// The secret of every signed webhook here, which guards nothing.
pub const SECRET: &str = "It's a Secret to Everybody";

/// The key that the secret is.
pub fn key() -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes())
}

/// The headers of a delivery with this body (GitHub Docs, "Webhook events and payloads" and
/// "Validating webhook deliveries").
pub fn headers(body: &[u8]) -> Headers {
    vec![
        ("X-GitHub-Event", "push".to_owned()),
        ("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958".to_owned()),
        ("X-Hub-Signature-256", signature(body)),
    ]
}

fn signature(body: &[u8]) -> String {
    let mut text = "sha256=".to_owned();
    for byte in hmac::sign(&key(), body).as_ref() {
        write!(text, "{byte:02x}").expect("a string takes any text");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::signature;

    #[test]
    fn a_body_is_signed_as_in_githubs_documentation() {
        assert_eq!(
            signature(b"Hello, World!"),
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        );
    }
}
