//! Checks of a bearer token before the API server reviews it. The contents are unverified, and
//! never trusted.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// The longest token that is reviewed, in bytes. Tokens of ServiceAccounts have 1 to 2 KiB; those
/// of identity providers are longer if the user has many groups.
const MAX_BYTES: usize = 16 * 1024;

/// Whether the token can be valid: a bearer token (RFC 6750, section 2.1) of a sensible length.
pub fn is_bearer_token(token: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    !token.is_empty() && token.len() <= MAX_BYTES && token.bytes().all(is_allowed)
}

/// Whether the token claims an audience: a JWT with it in `aud` (RFC 7519, section 4.1.3). The API
/// server verifies the claim.
pub fn claims_audience(token: &str, audience: &str) -> bool {
    #[derive(Deserialize)]
    struct Claims {
        aud: Audiences,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Audiences {
        One(String),
        Some(Vec<String>),
    }
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let Ok(payload) = URL_SAFE_NO_PAD.decode(payload) else { return false };
    match serde_json::from_slice(&payload) {
        Ok(Claims { aud: Audiences::One(one) }) => one == audience,
        Ok(Claims { aud: Audiences::Some(some) }) => some.iter().any(|one| one == audience),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(payload: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn only_what_can_be_a_bearer_token_is_reviewed() {
        for good in ["admintoken", "a.b.c", "a-._~+/==", &"x".repeat(MAX_BYTES)] {
            assert!(is_bearer_token(good), "{good}");
        }
        for bad in ["", "a b", "a\"b", "é", "a\u{0}", &"x".repeat(MAX_BYTES + 1)] {
            assert!(!is_bearer_token(bad), "{bad}");
        }
    }

    #[test]
    fn a_jwt_claims_the_audiences_that_it_names() {
        for payload in [r#"{"aud":"ours"}"#, r#"{"aud":["other","ours"],"exp":1}"#] {
            assert!(claims_audience(&jwt(payload), "ours"), "{payload}");
        }
        for payload in [r#"{"aud":"other"}"#, r#"{"aud":[]}"#, "{}", r#"{"aud":7}"#, "ours", ""] {
            assert!(!claims_audience(&jwt(payload), "ours"), "{payload}");
        }
        for token in ["", "ours", "a.b", "a.b.c.d", "a.!.c"] {
            assert!(!claims_audience(token, "ours"), "{token}");
        }
    }
}
