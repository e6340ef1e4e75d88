//! The tokens that the operator issues to apps: JWTs of one fixed form, signed with HMAC-SHA256.
//!
//! Compact JWS (RFC 7515), implemented on ring rather than with a library: a single algorithm and a
//! fixed header leave nothing to negotiate, and the libraries bring a second cryptography provider
//! or require one that is installed process-wide.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::plan::Key;
use crate::plan::identity::IdentityKey;

/// `{"alg":"HS256","typ":"JWT"}`: the only header that is issued and accepted.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

const ISSUER: &str = "webhook-operator";

const AUDIENCE: &str = "webhook-operator-app-api";

/// The longest accepted token, in bytes. Issued tokens are shorter: a namespace has at most 63
/// characters, a name 253.
const MAX_LEN: usize = 1024;

/// Issues and verifies tokens. Each token is bound to one app.
pub struct Tokens {
    key: hmac::Key,
}

/// The reason for rejecting a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The token is not in this operator's form; it may be of another issuer.
    #[error("not a token of this operator")]
    Malformed,
    /// The token is in this operator's form, but the signature, issuer or audience is wrong.
    #[error("the signature of the token is not valid")]
    Forged,
    /// The token has expired.
    #[error("the token has expired")]
    Expired,
}

/// The subject of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Namespace and name of the app.
    pub app: Key,
    /// See [`crate::plan::instance`].
    pub instance: Box<str>,
}

/// The claims (RFC 7519, section 4.1). `sub` is `namespace/name` of the app; `instance`
/// distinguishes the app from a later one of the same name.
#[derive(Serialize, Deserialize)]
struct AppTokenClaims<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    aud: Cow<'a, str>,
    #[serde(borrow)]
    sub: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    instance: Cow<'a, str>,
    iat: u64,
    exp: u64,
}

impl Tokens {
    /// Derives the signing key from the identity key, so that replicas with the same identity key
    /// accept each other's tokens.
    pub fn new(identity: &IdentityKey) -> Self {
        let key = identity.derive("app-api-token");
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()) }
    }

    /// Issues a token for one instance of an app. `now` is in seconds since 1970; the lifetime
    /// `ttl` is rounded up to whole seconds.
    pub fn issue(&self, app: &Key, instance: &str, now: u64, ttl: Duration) -> String {
        let seconds = ttl.as_secs().saturating_add(u64::from(ttl.subsec_nanos() > 0));
        let claims = AppTokenClaims {
            iss: ISSUER.into(),
            aud: AUDIENCE.into(),
            sub: app.to_string().into(),
            instance: instance.into(),
            iat: now,
            exp: now.saturating_add(seconds),
        };
        self.sign(&claims)
    }

    /// Verifies a token and returns its subject; the caller must check that the app still is this
    /// instance. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// [`TokenError`]. Length and signature are checked before anything of the token is decoded.
    pub fn verify(&self, token: &str, now: u64) -> Result<Subject, TokenError> {
        let payload = self.verified_payload(token)?;
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| TokenError::Forged)?;
        let claims: AppTokenClaims<'_> =
            serde_json::from_slice(&payload).map_err(|_| TokenError::Forged)?;
        if claims.iss != ISSUER || claims.aud != AUDIENCE {
            return Err(TokenError::Forged);
        }
        if claims.exp <= now {
            return Err(TokenError::Expired);
        }
        let (namespace, name) = claims.sub.split_once('/').ok_or(TokenError::Forged)?;
        Ok(Subject { app: Key::new(namespace, name), instance: claims.instance.into() })
    }

    /// The payload of a token, still encoded, once its signature is verified.
    fn verified_payload<'a>(&self, token: &'a str) -> Result<&'a str, TokenError> {
        if token.len() > MAX_LEN {
            return Err(TokenError::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let payload = signed.strip_prefix(HEADER).and_then(|rest| rest.strip_prefix('.'));
        let payload = payload.ok_or(TokenError::Malformed)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Forged)?;
        // Compares in constant time.
        hmac::verify(&self.key, signed.as_bytes(), &signature).map_err(|_| TokenError::Forged)?;
        Ok(payload)
    }

    fn sign(&self, claims: &AppTokenClaims<'_>) -> String {
        // Serializing strings and numbers cannot fail.
        let payload = serde_json::to_vec(claims).unwrap_or_default();
        let mut token = String::with_capacity(512);
        token.push_str(HEADER);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = hmac::sign(&self.key, token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        token
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_790_000_000;

    const HOUR: Duration = Duration::from_secs(3600);

    fn tokens(byte: u8) -> Tokens {
        Tokens::new(&IdentityKey::new(&[byte; 32]).unwrap())
    }

    /// In the form of [`crate::plan::instance`].
    const INSTANCE: &str = "q8pzh0Ke4vTQx1mB7n3d5w";

    fn subject(app: Key) -> Subject {
        Subject { app, instance: INSTANCE.into() }
    }

    fn shop() -> Key {
        Key::new("team-a", "shop")
    }

    fn encoded(text: &str) -> String {
        URL_SAFE_NO_PAD.encode(text)
    }

    fn decoded(part: &str) -> String {
        String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn a_token_says_which_app_it_belongs_to() {
        let tokens = tokens(7);
        assert_eq!(
            tokens.verify(&tokens.issue(&shop(), INSTANCE, NOW, HOUR), NOW),
            Ok(subject(shop()))
        );
        let other = Key::new("team-a", "shop-2");
        assert_eq!(
            tokens.verify(&tokens.issue(&other, INSTANCE, NOW, HOUR), NOW),
            Ok(subject(other))
        );
    }

    #[test]
    fn a_token_is_a_jwt_that_the_usual_tools_read() {
        let token = tokens(7).issue(&shop(), INSTANCE, NOW, Duration::from_millis(1500));
        let parts: Vec<_> = token.split('.').collect();
        assert_eq!(parts.len(), 3);
        assert_eq!(decoded(parts[0]), r#"{"alg":"HS256","typ":"JWT"}"#);
        assert_eq!(
            decoded(parts[1]),
            r#"{"iss":"webhook-operator","aud":"webhook-operator-app-api","sub":"team-a/shop","instance":"q8pzh0Ke4vTQx1mB7n3d5w","iat":1790000000,"exp":1790000002}"#
        );
    }

    #[test]
    fn a_token_is_good_until_its_time_is_over() {
        let tokens = tokens(7);
        let token = tokens.issue(&shop(), INSTANCE, NOW, HOUR);
        assert_eq!(tokens.verify(&token, NOW + 3599), Ok(subject(shop())));
        assert_eq!(tokens.verify(&token, NOW + 3600), Err(TokenError::Expired));
        let forever = tokens.issue(&shop(), INSTANCE, NOW, Duration::MAX);
        assert_eq!(tokens.verify(&forever, u64::MAX - 1), Ok(subject(shop())));
    }

    #[test]
    fn a_token_of_the_longest_names_is_accepted() {
        let tokens = tokens(7);
        let longest = Key::new("n".repeat(63), "a".repeat(253));
        let token = tokens.issue(&longest, INSTANCE, u64::MAX, Duration::MAX);
        assert_eq!(tokens.verify(&token, NOW), Ok(subject(longest)));
    }

    #[test]
    fn a_token_of_another_key_is_forged() {
        let token = tokens(8).issue(&shop(), INSTANCE, NOW, HOUR);
        assert_eq!(tokens(7).verify(&token, NOW), Err(TokenError::Forged));
    }

    #[test]
    fn no_byte_of_a_token_can_be_changed() {
        let tokens = tokens(7);
        let token = tokens.issue(&shop(), INSTANCE, NOW, HOUR);
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(tokens.verify(&changed, NOW).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_payload_is_not_taken_from_another_token() {
        let tokens = tokens(7);
        let (mine, theirs) = (
            tokens.issue(&shop(), INSTANCE, NOW, HOUR),
            tokens.issue(&Key::new("team-b", "shop"), INSTANCE, NOW, HOUR),
        );
        let payload = theirs.split('.').nth(1).unwrap();
        let signature = mine.rsplit('.').next().unwrap();
        let mixed = format!("{HEADER}.{payload}.{signature}");
        assert_eq!(tokens.verify(&mixed, NOW), Err(TokenError::Forged));
    }

    #[test]
    fn no_other_header_is_accepted_even_under_our_signature() {
        let tokens = tokens(7);
        let payload =
            tokens.issue(&shop(), INSTANCE, NOW, HOUR).split('.').nth(1).unwrap().to_owned();
        for header in [
            r#"{"alg":"none","typ":"JWT"}"#,
            r#"{"alg":"None"}"#,
            r#"{"alg":"HS512","typ":"JWT"}"#,
            r#"{"typ":"JWT","alg":"HS256"}"#,
            "{}",
            "",
        ] {
            let signed = format!("{}.{payload}", encoded(header));
            let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&tokens.key, signed.as_bytes()));
            for signature in [signature.as_str(), ""] {
                let token = format!("{signed}.{signature}");
                assert_eq!(tokens.verify(&token, NOW), Err(TokenError::Malformed), "{header}");
            }
        }
    }

    #[test]
    fn a_token_without_a_signature_is_forged() {
        let tokens = tokens(7);
        let token = tokens.issue(&shop(), INSTANCE, NOW, HOUR);
        let (signed, _) = token.rsplit_once('.').unwrap();
        assert_eq!(tokens.verify(&format!("{signed}."), NOW), Err(TokenError::Forged));
    }

    #[test]
    fn what_was_signed_for_something_else_is_forged() {
        let tokens = tokens(7);
        let claims = |iss: &'static str, aud: &'static str, sub: &'static str| AppTokenClaims {
            iss: iss.into(),
            aud: aud.into(),
            sub: sub.into(),
            instance: INSTANCE.into(),
            iat: NOW,
            exp: NOW + 60,
        };
        for claims in [
            claims("somebody", AUDIENCE, "team-a/shop"),
            claims(ISSUER, "something", "team-a/shop"),
            claims(ISSUER, AUDIENCE, "shop"),
        ] {
            assert_eq!(tokens.verify(&tokens.sign(&claims), NOW), Err(TokenError::Forged));
        }
    }

    #[test]
    fn a_truncated_token_is_refused_wherever_it_ends() {
        let tokens = tokens(7);
        let token = tokens.issue(&shop(), INSTANCE, NOW, HOUR);
        for end in 0..token.len() {
            assert!(tokens.verify(&token[..end], NOW).is_err(), "{end}");
        }
    }

    #[test]
    fn strange_texts_are_not_tokens() {
        let tokens = tokens(7);
        let token = tokens.issue(&shop(), INSTANCE, NOW, HOUR);
        let oversized = format!("{HEADER}.{}.", "A".repeat(MAX_LEN));
        for text in ["", ".", "..", "...", "a.b.c", "é.é.é", "\u{0}", oversized.as_str()] {
            assert_eq!(tokens.verify(text, NOW), Err(TokenError::Malformed), "{text:?}");
        }
        for text in [format!("{token}="), format!("{token} "), format!("{token}é")] {
            assert_eq!(tokens.verify(&text, NOW), Err(TokenError::Forged), "{text:?}");
        }
    }

    #[test]
    fn the_key_is_not_shown() {
        assert_eq!(format!("{:?}", tokens(7)), "Tokens(..)");
    }
}
