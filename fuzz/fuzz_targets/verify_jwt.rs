//! No token that the issuer did not sign is accepted, whatever set of keys beside the issuer's it is held against.
#![no_main]

use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use http::{HeaderMap, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;
use ring::signature::{Ed25519KeyPair, KeyPair};
use webhook_operator::verify::jwt::{Jwks, Keys, Rules};
use webhook_operator::verify::{Entry, Input, Verifier};

static PAIR: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed"));

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let x = BASE64.encode(PAIR.public_key());
    let set = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"k","x":"{x}"}}]}}"#);
    let keys = Keys::default();
    keys.set(Jwks::parse(set.as_bytes()).expect("a set"));
    verifier(keys)
});

fn verifier(keys: Keys) -> Verifier {
    let rules = Rules { issuer: "i".into(), audiences: ["a".into()].into(), keys };
    Verifier::new(Entry::Jwt(rules), &[]).expect("complete rules")
}

// The first byte selects: `T` a token as it stands; `S` a header and claims, a line each, that the issuer signs;
// `K` a set of keys, and in the next line a token.
fuzz_target!(|input: &[u8]| {
    let Some((selector, rest)) = input.split_first() else { return };
    let mut lines = rest.splitn(2, |byte| *byte == b'\n');
    let (one, other) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    match selector {
        b'T' => assert!(!accepted(&VERIFIER, rest)),
        b'S' => {
            let signed = format!("{}.{}", BASE64.encode(one), BASE64.encode(other));
            let signature = BASE64.encode(PAIR.sign(signed.as_bytes()));
            accepted(&VERIFIER, format!("{signed}.{signature}").as_bytes());
        }
        b'K' => {
            let Ok(set) = Jwks::parse(one) else { return };
            let keys = Keys::default();
            keys.set(set);
            accepted(&verifier(keys), other);
        }
        _ => {}
    }
});

fn accepted(verifier: &Verifier, token: &[u8]) -> bool {
    let Ok(value) = HeaderValue::from_bytes(&[b"Bearer ", token].concat()) else { return false };
    let mut headers = HeaderMap::new();
    headers.insert("authorization", value);
    let input = Input {
        method: &Method::POST,
        headers: &headers,
        external_url: "https://hooks.example.com",
        path_and_query: "/",
        body: b"",
        decoded: Some(b""),
        now: 1_700_000_000,
    };
    verifier.check(&input).is_ok()
}
