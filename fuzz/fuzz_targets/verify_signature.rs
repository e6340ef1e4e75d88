//! Whatever stands in the headers of a proof, a request is accepted only if the right one is among them.
#![no_main]

use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;
use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair};
use webhook_operator::verify::{
    Algorithm, Encoding, Entry, Input, PROVIDERS, Position, Scheme, Secret, SecretForm, Signature, Source,
    Timestamp, TokenForm, Verifier,
};

const NOW: u64 = 1_700_000_000;
const KEY: &[u8] = b"a key of the fuzzer: 32 bytes...";

/// A scheme of the table by itself, and its verifier.
static SCHEMES: LazyLock<Vec<(Scheme<'static>, Verifier)>> = LazyLock::new(|| {
    PROVIDERS
        .iter()
        .flat_map(|provider| {
            let schemes = provider.schemes.iter().chain(provider.legacy_schemes);
            schemes.map(move |scheme| {
                let entry = Entry::Provider { provider, legacy: true, verify_token: None };
                let secret = Secret::new(secret(scheme)).expect("not empty");
                (*scheme, Verifier::new(entry, &[secret]).expect("a complete row"))
            })
        })
        .collect()
});

static PAIR: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed"));

// The first byte selects a scheme, `A` the first; then lines: what stands in the header of the proof, with `$` for
// what is right; the timestamp; the id; and the body.
fuzz_target!(|input: &[u8]| {
    let Some((selector, rest)) = input.split_first() else { return };
    let (scheme, verifier) = &SCHEMES[usize::from(selector.wrapping_sub(b'A')) % SCHEMES.len()];
    let mut lines = rest.splitn(4, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (proof, timestamp, id, body) = (line(), line(), line(), line());
    let (name, right) = match scheme {
        Scheme::Signature(signature) => (signature.header, right(signature, timestamp, id, body)),
        Scheme::Token(token) => (header_of(token.at), shown(token.form)),
    };
    let value = replaced(proof, &right);
    let mut headers = HeaderMap::new();
    insert(&mut headers, name, &value);
    if let Scheme::Signature(signature) = scheme {
        if let Some(Source::Header(name)) = signature.timestamp.map(|timestamp| timestamp.source) {
            insert(&mut headers, name, timestamp);
        }
        signature.id.iter().for_each(|name| insert(&mut headers, name, id));
    }
    let request = Input {
        method: &Method::POST,
        headers: &headers,
        external_url: "https://hooks.example.com",
        path_and_query: "/apps/a/webhooks/b",
        body,
        decoded: Some(body),
        now: NOW,
    };
    if let Ok(verified) = verifier.check(&request) {
        let value = value.to_ascii_lowercase();
        let right = right.to_ascii_lowercase();
        assert!(value.windows(right.len()).any(|part| part == right), "{name}");
        verified.delivery_id(&request);
        verified.challenge(&request);
    }
});

fn header_of(position: Position<'static>) -> &'static str {
    match position {
        Position::Header(name) => name,
        Position::Query(_) | Position::Pointer(_) => unreachable!("no row has its token there"),
    }
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

fn replaced(proof: &[u8], right: &[u8]) -> Vec<u8> {
    let pieces: Vec<_> = proof.split(|byte| *byte == b'$').collect();
    pieces.join(right)
}

fn secret(scheme: &Scheme<'_>) -> Vec<u8> {
    match scheme {
        Scheme::Token(token) if token.form == TokenForm::Basic => b"user:password".into(),
        Scheme::Token(_) => KEY.into(),
        Scheme::Signature(signature) => match (signature.secret, signature.algorithm) {
            (SecretForm::Base64 { prefix, .. }, Algorithm::Ed25519) => {
                format!("{prefix}{}", BASE64_STANDARD.encode(PAIR.public_key())).into()
            }
            (SecretForm::Base64 { prefix, .. }, _) => {
                format!("{prefix}{}", BASE64_STANDARD.encode(KEY)).into()
            }
            (SecretForm::Hex, _) => hex(PAIR.public_key().as_ref()),
            (SecretForm::PublicKey, _) => BASE64_STANDARD.encode(PAIR.public_key()).into(),
            (SecretForm::Verbatim, _) => KEY.into(),
        },
    }
}

fn shown(form: TokenForm) -> Vec<u8> {
    match form {
        TokenForm::Basic => BASE64_STANDARD.encode("user:password").into(),
        TokenForm::Whole | TokenForm::Bearer => KEY.into(),
    }
}

/// The right signature, made the plain way: by text, and in one piece.
fn right(scheme: &Signature<'_>, timestamp: &[u8], id: &[u8], body: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    for part in scheme.signed.split_inclusive('}') {
        let (literal, placeholder) = part.split_once('{').unwrap_or((part, ""));
        message.extend_from_slice(literal.as_bytes());
        message.extend_from_slice(match placeholder {
            "timestamp}" if matches!(scheme.timestamp, Some(Timestamp { source: Source::Item(_), .. })) => NOW_TEXT,
            "timestamp}" => timestamp,
            "id}" => id,
            "body}" => body,
            "url}" => b"https://hooks.example.com/apps/a/webhooks/b",
            _ => b"",
        });
    }
    let mac = |algorithm| hmac::sign(&hmac::Key::new(algorithm, KEY), &message).as_ref().to_vec();
    let bytes = match scheme.algorithm {
        Algorithm::HmacSha1 => mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        Algorithm::HmacSha256 => mac(hmac::HMAC_SHA256),
        Algorithm::HmacSha384 => mac(hmac::HMAC_SHA384),
        Algorithm::HmacSha512 => mac(hmac::HMAC_SHA512),
        Algorithm::Ed25519 => PAIR.sign(&message).as_ref().to_vec(),
        // No row has them: fuzz target `verify_entry`.
        Algorithm::EcdsaP256 | Algorithm::RsaSha256 => Vec::new(),
    };
    match scheme.encoding {
        Encoding::Hex => hex(&bytes),
        Encoding::Base64 => BASE64_STANDARD.encode(bytes).into(),
        Encoding::Base64Url => BASE64_URL_SAFE_NO_PAD.encode(bytes).into(),
    }
}

/// The timestamp that a header has beside its signatures, if they are to be right.
const NOW_TEXT: &[u8] = b"1700000000";

fn hex(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
}
