//! Tokens of an issuer; made by another implementation (`jwt.json`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use webhook_operator::verify::jwt::{Jwks, JwksError, Keys, MAX_KEYS, Rules};
use webhook_operator::verify::{Denied, Entry, EntryError, Verifier};

use super::request::Request;

#[derive(Deserialize)]
pub struct Tokens {
    pub now: u64,
    issuer: String,
    audience: String,
    pub jwks: Value,
    pub accepted: BTreeMap<String, String>,
    pub denied: Vec<(String, String, String)>,
}

pub fn tokens() -> Tokens {
    serde_json::from_str(include_str!("jwt.json")).unwrap()
}

impl Tokens {
    pub fn verifier(&self) -> Verifier {
        let keys = Keys::default();
        keys.set(self.parsed());
        self.verifier_with(keys)
    }

    pub fn verifier_with(&self, keys: Keys) -> Verifier {
        self.verifier_of(&self.issuer, keys)
    }

    pub fn verifier_of(&self, issuer: &str, keys: Keys) -> Verifier {
        let audiences = ["https://second.example", &*self.audience].map(Box::from).into();
        let rules = Rules { issuer: issuer.into(), audiences, keys };
        Verifier::new(Entry::Jwt(rules), &[]).unwrap()
    }

    pub fn parsed(&self) -> Jwks {
        Jwks::parse(self.jwks.to_string().as_bytes()).unwrap()
    }

    pub fn request(&self, token: &str) -> Request {
        Request::of("any body").at(self.now).with("Authorization", format!("Bearer {token}"))
    }
}

#[test]
fn a_token_of_each_algorithm_is_accepted() {
    let tokens = tokens();
    let verifier = tokens.verifier();
    for (name, token) in &tokens.accepted {
        assert_eq!(tokens.request(token).denied(&verifier), None, "{name}");
    }
}

#[test]
fn every_token_that_should_not_be_is_denied_for_its_own_reason() {
    let tokens = tokens();
    let verifier = tokens.verifier();
    for (name, reason, token) in &tokens.denied {
        let denied = tokens.request(token).denied(&verifier);
        assert_eq!(denied.map(Denied::reason), Some(&**reason), "{name}");
    }
}

#[test]
fn a_token_is_refused_beyond_the_leeway_of_its_expiry() {
    let tokens = tokens();
    let verifier = tokens.verifier();
    let token = &tokens.accepted["ES256 by p256"];
    let at = |seconds: u64| tokens.request(token).at(tokens.now + seconds).denied(&verifier);
    assert_eq!(at(600 + 59), None);
    assert_eq!(at(600 + 60), Some(Denied::Stale));
}

#[test]
fn a_token_is_long_or_doubled_or_not_ascii_and_denied() {
    let tokens = tokens();
    let verifier = tokens.verifier();
    let token = &tokens.accepted["ES256 by p256"];
    // It has four parts, which would be told as a mismatch, and more than any token's length.
    let long = format!("{token}.{}", "a".repeat(20_000));
    assert_eq!(tokens.request(&long).denied(&verifier), Some(Denied::Malformed));
    assert_eq!(tokens.request("é.é.é").denied(&verifier), Some(Denied::Malformed));
    let doubled = tokens.request(token).with("Authorization", format!("Bearer {token}"));
    assert_eq!(doubled.denied(&verifier), Some(Denied::DoubledHeader));
    assert_eq!(Request::of("").denied(&verifier), Some(Denied::MissingHeader));
    let basic = Request::of("").with("Authorization", format!("Basic {token}"));
    assert_eq!(basic.denied(&verifier), Some(Denied::OtherScheme));
}

#[test]
fn keys_that_come_later_and_change_are_those_that_count() {
    let tokens = tokens();
    let keys = Keys::default();
    let verifier = tokens.verifier_with(keys.clone());
    let request = tokens.request(&tokens.accepted["EdDSA by ed"]);
    assert_eq!(request.denied(&verifier), Some(Denied::KeysUnavailable));
    keys.set(tokens.parsed());
    assert_eq!(request.denied(&verifier), None);
    let without: Vec<_> =
        tokens.jwks["keys"].as_array().unwrap().iter().filter(|key| key["kid"] != "ed").collect();
    keys.set(Jwks::parse(json!({"keys": without}).to_string().as_bytes()).unwrap());
    assert_eq!(request.denied(&verifier), Some(Denied::UnknownKey));
}

#[test]
fn rules_that_bind_a_token_to_nobody_are_refused() {
    for (issuer, audiences) in
        [("", vec!["a"]), ("i", vec![]), ("i", vec![""]), ("i", vec!["a", ""])]
    {
        let audiences = audiences.into_iter().map(Box::from).collect();
        let rules = Rules { issuer: issuer.into(), audiences, keys: Keys::default() };
        assert_eq!(Verifier::new(Entry::Jwt(rules), &[]).unwrap_err(), EntryError::JwtUnbound);
    }
}

#[test]
fn a_set_without_a_key_for_signatures_is_refused() {
    let parse = |document: Value| Jwks::parse(document.to_string().as_bytes()).map(drop);
    let secret = json!({"kty": "oct", "k": "AAAA"});
    assert_eq!(parse(json!({"keys": [secret]})), Err(JwksError::NoUsableKey));
    assert_eq!(parse(json!({"keys": []})), Err(JwksError::NoUsableKey));
    assert_eq!(parse(json!({"keys": vec![secret; MAX_KEYS + 1]})), Err(JwksError::TooManyKeys));
    assert_eq!(parse(json!({})), Err(JwksError::Malformed));
    assert_eq!(parse(json!([])), Err(JwksError::Malformed));
    for unusable in [
        json!({"kty": "RSA", "n": "", "e": "AQAB"}),
        json!({"kty": "RSA", "n": "AA", "e": "AQAB"}),
        json!({"kty": "RSA", "n": "!", "e": "AQAB"}),
        json!({"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}),
        json!({"kty": "EC", "crv": "P-521", "x": "AAAA", "y": "AAAA"}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}),
        json!({"kty": "OKP", "crv": "X25519", "x": "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik"}),
        json!({"kty": "OKP", "crv": "Ed25519", "alg": "HS256", "x": "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik"}),
        json!({"kty": "OKP", "crv": "Ed25519", "key_ops": ["sign"], "x": "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik"}),
        json!({"kid": "x"}),
        json!("x"),
    ] {
        let document = json!({"keys": [unusable]});
        assert_eq!(parse(document.clone()), Err(JwksError::NoUsableKey), "{document}");
    }
}
