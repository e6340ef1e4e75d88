//! Which URLs have keys, and when newer ones are asked for.

use futures_util::FutureExt;
use serde_json::json;
use webhook_operator::verify::Denied;
use webhook_operator::verify::jwt::{Jwks, KeySetError, KeySets, Keys, MAX_URL};

use super::jwt::tokens;

#[test]
fn a_set_is_at_an_https_url_without_credentials_or_nowhere() {
    let sets = KeySets::default();
    let refused = |url: &str| sets.keys(&"team-a".into(), url).err();
    assert_eq!(refused("https://issuer.example/keys?x=y"), None);
    assert_eq!(refused("HTTPS://[2001:db8::1]:8443"), None);
    for plain in ["http://issuer.example/keys", "file:///etc/passwd", "data:,{}"] {
        assert_eq!(refused(plain), Some(KeySetError::NotHttps), "{plain}");
    }
    for credentials in ["https://a:b@issuer.example", "https://a@b", "https://:b@issuer.example"] {
        assert_eq!(refused(credentials), Some(KeySetError::Credentials), "{credentials}");
    }
    for malformed in
        ["", "issuer.example/keys", "https://", "https://a b/", "https://[::1", "https://a:99999"]
    {
        assert!(matches!(refused(malformed), Some(KeySetError::Malformed(_))), "{malformed}");
    }
    let long = format!("https://issuer.example/{}", "a".repeat(MAX_URL));
    assert_eq!(refused(&long[..MAX_URL]), None);
    assert_eq!(refused(&long[..=MAX_URL]), Some(KeySetError::TooLong));
}

#[test]
fn what_is_no_url_is_not_repeated() {
    let told =
        KeySets::default().keys(&"team-a".into(), "https://issuer.example:concern").unwrap_err();
    assert!(!told.to_string().contains("concern"), "{told}");
}

#[test]
fn keys_are_known_to_be_dropped_once_the_last_copy_is() {
    let keys = Keys::default();
    let (copy, weak) = (keys.clone(), keys.downgrade());
    drop(keys);
    assert!(!weak.is_dropped() && weak.upgrade().is_some());
    assert_eq!(weak.news().now_or_never(), None);
    drop(copy);
    assert!(weak.is_dropped() && weak.upgrade().is_none());
    assert_eq!(weak.news().now_or_never(), Some(()));
}

#[test]
fn whoever_keeps_keys_fresh_is_woken_once_however_often_one_is_missed() {
    let keys = Keys::default();
    let weak = keys.downgrade();
    for _ in 0..2 {
        (0..3).for_each(|_| keys.miss());
        assert_eq!(weak.news().now_or_never(), Some(()));
        keys.miss();
        assert_eq!(weak.news().now_or_never(), None);
        keys.settle();
    }
}

/// The keys of all but one of the tokens' keys.
fn without(id: &str) -> Jwks {
    let all = tokens().jwks["keys"].as_array().unwrap().clone();
    let others: Vec<_> = all.into_iter().filter(|key| key["kid"] != id).collect();
    Jwks::parse(json!({"keys": others}).to_string().as_bytes()).unwrap()
}

#[test]
fn a_token_of_an_unknown_key_asks_for_newer_ones() {
    let tokens = tokens();
    let keys = Keys::default();
    let verifier = tokens.verifier_with(keys.clone());
    let request = tokens.request(&tokens.accepted["EdDSA by ed"]);
    assert_eq!(request.denied(&verifier), Some(Denied::KeysUnavailable));
    assert!(keys.is_missed());
    keys.settle();
    keys.set(without("ed"));
    assert_eq!(request.denied(&verifier), Some(Denied::UnknownKey));
    assert!(keys.is_missed());
    keys.settle();
    keys.set(tokens.parsed());
    assert_eq!(request.denied(&verifier), None);
    assert!(!keys.is_missed());
}

#[test]
fn a_token_that_names_no_key_asks_for_newer_ones_when_none_fits() {
    let tokens = tokens();
    let keys = Keys::default();
    keys.set(without("p256"));
    let verifier = tokens.verifier_with(keys.clone());
    let request = tokens.request(&tokens.accepted["ES256 by any key"]);
    assert_eq!(request.denied(&verifier), Some(Denied::Mismatch));
    assert!(keys.is_missed());
}

#[test]
fn a_token_that_is_forged_or_of_another_issuer_asks_for_nothing() {
    let tokens = tokens();
    let keys = Keys::default();
    keys.set(tokens.parsed());
    let verifier = tokens.verifier_with(keys.clone());
    for (name, _, token) in tokens.denied.iter().filter(|(_, reason, _)| reason != "unknown_key") {
        assert!(tokens.request(token).denied(&verifier).is_some());
        assert!(!keys.is_missed(), "{name}");
    }
    let keys = Keys::default();
    let other = tokens.verifier_of("https://other.example", keys.clone());
    let request = tokens.request(&tokens.accepted["EdDSA by ed"]);
    assert_eq!(request.denied(&other), Some(Denied::KeysUnavailable));
    assert!(!keys.is_missed());
}
