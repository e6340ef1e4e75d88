//! Whatever stands in the lists, timestamps, keys and bodies of a user's own entry, it is read as its standard says, and
//! a request is accepted only with the right signature.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;
use ring::hmac;
use webhook_operator::verify::{
    Algorithm, Delivery, Entry, Input, Layout, Metadata, Secret, SecretForm, Signature, Source, Timestamp,
    TimestampFormat, Verifier,
};

const NOW: u64 = 1_700_000_000;
const TOLERANCE: u64 = 300;
const HEADER: &str = "x-signature";

static ITEMS: LazyLock<Verifier> = LazyLock::new(|| {
    let layout = Layout::Items { separator: ';', assign: '=', name: "h1" };
    hmac_entry(Signature { layout, ..timed(Source::Item("ts"), TimestampFormat::Unix) }, Metadata::default())
});
static RFC3339: LazyLock<Verifier> =
    LazyLock::new(|| hmac_entry(timed(Source::Header("x-time"), TimestampFormat::Rfc3339), Metadata::default()));

fn timed(source: Source<'static>, format: TimestampFormat) -> Signature<'static> {
    let timestamp = Some(Timestamp { source, format, tolerance: Duration::from_secs(TOLERANCE) });
    Signature { header: HEADER, signed: "{timestamp}.{body}", timestamp, ..Signature::HMAC }
}

fn hmac_entry(signature: Signature<'_>, metadata: Metadata<'_>) -> Verifier {
    let secret = Secret::new(b"s".into()).expect("not empty");
    Verifier::new(Entry::Hmac(signature, metadata), &[secret]).expect("a valid entry")
}

// The first byte selects what is read: `I`tems of the header, with `$` for the right signature; `T`imestamp of RFC 3339;
// `P`ointer up to the first line break, then the body; public key of `E`CDSA, `R`SA or Ed25519 (`D`).
fuzz_target!(|input: &[u8]| {
    let Some((selector, rest)) = input.split_first() else { return };
    match selector {
        b'I' => items(rest),
        b'T' => timestamp(rest),
        b'P' => pointer(rest),
        b'E' => key(Algorithm::EcdsaP256, rest),
        b'R' => key(Algorithm::RsaSha256, rest),
        b'D' => key(Algorithm::Ed25519, rest),
        _ => {}
    }
});

fn items(value: &[u8]) {
    let right = sign(&format!("{NOW}.{{}}"));
    let value = value.split(|byte| *byte == b'$').collect::<Vec<_>>().join(right.as_bytes());
    let Ok(value) = HeaderValue::from_bytes(&value) else { return };
    let headers = HeaderMap::from_iter([(HEADER.parse().expect("a name"), value.clone())]);
    if ITEMS.check(&request(&headers, b"{}")).is_ok() {
        let text = value.to_str().expect("printable");
        let items: Vec<_> = text.split(';').map(str::trim).collect();
        assert_eq!(items.iter().filter(|item| item.starts_with("ts=")).count(), 1);
        assert!(items.contains(&&*format!("ts={NOW}")));
        // Hexadecimal digits have two cases.
        assert!(text.to_ascii_lowercase().contains(&format!("h1={right}")));
    }
}

fn timestamp(text: &[u8]) {
    let (Ok(value), Ok(text)) = (HeaderValue::from_bytes(text), std::str::from_utf8(text)) else { return };
    let mut headers = HeaderMap::new();
    headers.insert("x-time", value);
    headers.insert(HEADER, sign(&format!("{text}.{{}}")).parse().expect("digits"));
    if RFC3339.check(&request(&headers, b"{}")).is_ok() {
        let time: jiff::Timestamp = text.parse().expect("what is accepted is a time");
        assert!(time.as_second().abs_diff(NOW as i64) <= TOLERANCE);
        assert!(matches!(text.as_bytes()[10], b'T') && (20..=35).contains(&text.len()), "{text}");
    }
}

fn pointer(input: &[u8]) {
    let line = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (Ok(pointer), body) = (std::str::from_utf8(&input[..line]), input.get(line + 1..).unwrap_or_default()) else {
        return;
    };
    let metadata = Metadata { delivery: Some(Delivery::Pointer(pointer)), event_headers: &[] };
    let secret = Secret::new(b"s".into()).expect("not empty");
    let entry = Entry::Hmac(Signature { header: HEADER, ..Signature::HMAC }, metadata);
    let Ok(verifier) = Verifier::new(entry, &[secret]) else { return };
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"s");
    let headers = HeaderMap::from_iter([(
        HEADER.parse().expect("a name"),
        hex(hmac::sign(&key, body).as_ref()).parse().expect("digits"),
    )]);
    let input = request(&headers, body);
    let found = verifier.check(&input).expect("it is signed").delivery_id(&input);
    // A member that occurs twice is the first here, and the last there.
    let Ok(document) = serde_json::from_slice::<serde_json::Value>(body) else { return };
    if serde_json::to_vec(&document).is_ok_and(|again| again == body) {
        let expected = document.pointer(pointer).and_then(|value| match value {
            serde_json::Value::String(text) => Some(text.clone()),
            value => value.as_u64().map(|number| number.to_string()),
        });
        let expected = expected.filter(|id| !id.trim_ascii().is_empty() && id.len() <= 256);
        assert_eq!(found.map(|id| id.id.into_owned()), expected, "{pointer}");
    }
}

fn key(algorithm: Algorithm, text: &[u8]) {
    let Ok(secret) = Secret::new(text.into()) else { return };
    for form in [SecretForm::PublicKey, SecretForm::Hex, SecretForm::Base64 { prefix: "", bare: true }] {
        let signature = Signature { header: HEADER, algorithm, secret: form, ..Signature::HMAC };
        let Ok(verifier) = Verifier::new(Entry::Hmac(signature, Metadata::default()), std::slice::from_ref(&secret))
        else {
            continue;
        };
        let digits = "00".repeat(256);
        let headers = HeaderMap::from_iter([(HEADER.parse().expect("a name"), digits.parse().expect("digits"))]);
        assert!(verifier.check(&request(&headers, text)).is_err());
    }
}

fn request<'a>(headers: &'a HeaderMap, body: &'a [u8]) -> Input<'a> {
    Input {
        method: &Method::POST,
        headers,
        external_url: "https://hooks.example.com",
        path_and_query: "/apps/a/webhooks/b",
        body,
        decoded: Some(body),
        now: NOW,
    }
}

fn sign(text: &str) -> String {
    hex(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"s"), text.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
