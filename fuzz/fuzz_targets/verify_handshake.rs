//! Whatever a provider seems to ask, the answer is bounded and is what it asked for.
#![no_main]

use std::sync::LazyLock;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;
use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair};
use webhook_operator::verify::{Entry, Input, Provider, Secret, Verifier, Verifiers, cloud_events};

const NOW: u64 = 1_700_000_000;

static PAIR: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed"));

static SLACK: LazyLock<Verifier> = LazyLock::new(|| verifier("Slack", "s"));
static ZOOM: LazyLock<Verifier> = LazyLock::new(|| verifier("Zoom", "s"));
static DISCORD: LazyLock<Verifier> =
    LazyLock::new(|| verifier("Discord", &hex(PAIR.public_key().as_ref())));
static COMMAND: LazyLock<Verifiers> =
    LazyLock::new(|| Verifiers::new(vec![verifier("Slack", "s")]));
static BITBUCKET: LazyLock<Verifiers> =
    LazyLock::new(|| Verifiers::new(vec![verifier("Bitbucket", "s")]));
static META: LazyLock<Verifier> = LazyLock::new(|| verifier("Meta", "s"));

fn verifier(name: &str, secret: &str) -> Verifier {
    let made = |text: &str| Secret::new(text.into()).expect("not empty");
    let provider = Provider::named(name).expect("a row");
    let verify_token = provider.has_verify_token().then(|| made("t"));
    let entry = Entry::Provider { provider, legacy: false, verify_token };
    Verifier::new(entry, &[made(secret)]).expect("a complete row")
}

// The first byte selects who asks: `S`lack, `Z`oom, `D`iscord with a body; `M`eta with a query; `C`loudEvents with an
// origin; `U`nsigned checks of Slack and Bitbucket, with a content type or an event key up to the first line break.
fuzz_target!(|input: &[u8]| {
    let Some((selector, rest)) = input.split_first() else { return };
    match selector {
        b'S' => signed(&SLACK, ["x-slack-signature", "x-slack-request-timestamp"], rest),
        b'Z' => signed(&ZOOM, ["x-zm-signature", "x-zm-request-timestamp"], rest),
        b'D' => discord(rest),
        b'M' => meta(rest),
        b'C' => origin(rest),
        b'U' => unsigned(rest),
        _ => {}
    }
});

fn signed(verifier: &Verifier, [signature, timestamp]: [&'static str; 2], body: &[u8]) {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"s");
    let message = [format!("v0:{NOW}:").as_bytes(), body].concat();
    let mut headers = HeaderMap::new();
    headers.insert(signature, value(&format!("v0={}", hex(hmac::sign(&key, &message).as_ref()))));
    headers.insert(timestamp, value(&NOW.to_string()));
    answered(verifier, &headers, body);
}

fn discord(body: &[u8]) {
    let message = [NOW.to_string().as_bytes(), body].concat();
    let mut headers = HeaderMap::new();
    headers.insert("x-signature-ed25519", value(&hex(PAIR.sign(&message).as_ref())));
    headers.insert("x-signature-timestamp", value(&NOW.to_string()));
    answered(&DISCORD, &headers, body);
}

fn answered(verifier: &Verifier, headers: &HeaderMap, body: &[u8]) {
    let input = request(&Method::POST, headers, "/", body);
    let verified = verifier.check(&input).expect("it is signed");
    verified.delivery_id(&input);
    if let Some(answer) = verified.challenge(&input) {
        assert!(answer.status().is_success() && answer.body().len() <= 8 * 1024);
        assert!(answer.headers().contains_key(CONTENT_TYPE));
    }
}

fn meta(query: &[u8]) {
    let Ok(query) = std::str::from_utf8(query) else { return };
    let path = format!("/?{query}");
    let headers = HeaderMap::new();
    let Some(Ok(answer)) = META.challenge(&request(&Method::GET, &headers, &path, b"")) else {
        return;
    };
    let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let has = |name: &str, value: &str| pairs.iter().any(|pair| pair.0 == name && pair.1 == value);
    assert!(has("hub.mode", "subscribe") && has("hub.verify_token", "t"));
    assert!(has("hub.challenge", std::str::from_utf8(answer.body()).expect("text")));
    assert!(answer.body().len() <= 1024);
}

fn origin(origin: &[u8]) {
    let Ok(origin) = HeaderValue::from_bytes(origin) else { return };
    let mut headers = HeaderMap::new();
    headers.insert("webhook-request-origin", origin.clone());
    if let Some(answer) = cloud_events(&Method::OPTIONS, &headers, &["a.example"], None) {
        assert!(origin.as_bytes().eq_ignore_ascii_case(b"a.example"));
        assert_eq!(answer.headers()["webhook-allowed-origin"], origin);
    }
}

fn unsigned(input: &[u8]) {
    let line = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (first, body) = (&input[..line], input.get(line + 1..).unwrap_or_default());
    let Ok(first) = HeaderValue::from_bytes(first) else { return };
    let ask = |verifiers: &Verifiers, name: &'static str| {
        let headers = HeaderMap::from_iter([(HeaderName::from_static(name), first.clone())]);
        verifiers.is_unsigned_check(&request(&Method::POST, &headers, "/", body))
    };
    assert_eq!(ask(&BITBUCKET, "x-event-key"), first == "diagnostics:ping");
    if ask(&COMMAND, "content-type") {
        let mut fields = form_urlencoded::parse(body);
        assert!(fields.any(|(name, value)| name == "ssl_check" && value == "1"));
    }
}

fn request<'a>(
    method: &'a Method,
    headers: &'a HeaderMap,
    path_and_query: &'a str,
    body: &'a [u8],
) -> Input<'a> {
    let external_url = "https://hooks.example.com";
    Input { method, headers, external_url, path_and_query, body, decoded: Some(body), now: NOW }
}

fn value(text: &str) -> HeaderValue {
    text.parse().expect("ASCII")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
