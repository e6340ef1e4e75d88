//! Whatever is signed here verifies, for every provider; what cannot be signed says so.

use http::header::{CONTENT_TYPE, HeaderValue};
use proptest::prelude::*;
use proptest::sample::Index;
use std::time::Duration;
use webhook_operator::verify::{
    Algorithm, CannotSign, Encoding, Entry, Layout, Metadata, PROVIDERS, Position, Signature,
    Source, Timestamp, TimestampFormat, Verifier,
};

use super::jwt::tokens;
use super::request::{NOW, Request, secrets, verifier};

const PUBLIC_KEY: &str = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29";

/// Secrets of each form that the provider has.
fn secrets_of(provider: &str) -> &'static [&'static str] {
    match provider {
        "StandardWebhooks" => &["whsec_AQIDBA==", "AQIDBAUG"],
        "GitLab" => &["whsec_AQIDBA==", "a plain token"],
        "Basic" => &["user:pass:word"],
        _ => &["s3cret", "whsec_AQIDBA=="],
    }
}

/// The request as it is sent, with what proves it.
fn signed(verifier: &Verifier, mut request: Request, id: &str) -> Request {
    let proof = verifier.sign(&request.input(), id).expect("a proof");
    request.headers.extend(proof.headers);
    if let Some(parameter) = proof.query {
        let separator = if request.path_and_query.contains('?') { '&' } else { '?' };
        request.path_and_query.extend([separator]);
        request.path_and_query.push_str(&parameter);
    }
    request
}

/// Bodies that senders have: Linear's has the time in it.
fn body(provider: &str, bytes: Vec<u8>) -> Vec<u8> {
    match provider {
        "Linear" => format!(r#"{{"data": {bytes:?}, "webhookTimestamp": {NOW}000}}"#).into(),
        _ => bytes,
    }
}

fn content_type() -> impl Strategy<Value = Option<&'static str>> {
    prop::sample::select(vec![
        None,
        Some("application/json"),
        Some("application/x-www-form-urlencoded"),
        Some("text/plain; charset=utf-8"),
    ])
}

fn external_url() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "https://hooks.example.com",
        "http://10.0.0.1:8080",
        "https://[2001:db8::1]:8443/below",
    ])
}

fn generic() -> impl Strategy<Value = Signature<'static>> {
    let timestamp = Timestamp {
        source: Source::Header("X-Time"),
        format: TimestampFormat::Unix,
        tolerance: Duration::from_secs(9),
    };
    let item = Some(Timestamp { source: Source::Item("t"), ..timestamp });
    let signed = prop::sample::select(vec![
        ("{body}", None, None),
        ("{timestamp}.{body}", item, None),
        ("{timestamp}.{body}", Some(timestamp), None),
        (
            "{timestamp}{body}",
            Some(Timestamp { format: TimestampFormat::Rfc3339, ..timestamp }),
            None,
        ),
        ("{id}.{timestamp}.{url}.{body}", Some(timestamp), Some("X-Id")),
        ("{url}{body}end", None, None),
        ("{method}{path}\n{header:X-Nonce};{sha256:body}", None, None),
    ]);
    let algorithm = prop::sample::select(vec![
        Algorithm::HmacSha1,
        Algorithm::HmacSha256,
        Algorithm::HmacSha384,
        Algorithm::HmacSha512,
    ]);
    let encoding = prop::sample::select(vec![Encoding::Hex, Encoding::Base64, Encoding::Base64Url]);
    let layout = prop::sample::select(vec![
        Layout::Prefixed(""),
        Layout::Prefixed("sha256="),
        Layout::Items { separator: ';', assign: '=', name: "h1" },
        Layout::Items { separator: ' ', assign: ',', name: "v1" },
    ]);
    (signed, algorithm, encoding, layout).prop_map(|(signed, algorithm, encoding, layout)| {
        let (signed, timestamp, id) = signed;
        let has_item = matches!(timestamp, Some(Timestamp { source: Source::Item(_), .. }));
        let list = Layout::Items { separator: ',', assign: '=', name: "v1" };
        let layout = if has_item { list } else { layout };
        let header = "X-Signature";
        Signature { header, layout, encoding, algorithm, signed, timestamp, id, ..Signature::HMAC }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn what_is_signed_as_a_provider_signs_is_accepted_as_its_own(
        bytes in prop::collection::vec(any::<u8>(), 0..64),
        content_type in content_type(),
        external_url in external_url(),
        path in "/apps/[a-z]{1,4}(\\?[a-z]=[a-z%+]{0,4})?",
        id in "[a-z0-9_-]{1,20}",
    ) {
        for provider in PROVIDERS.iter().filter(|provider| provider.name != "Discord") {
            for secret in secrets_of(provider.name) {
                let verifier = verifier(provider.name, &[secret]);
                let mut request = Request::of(body(provider.name, bytes.clone())).to(&path);
                request.external_url = external_url.into();
                if let Some(content_type) = content_type {
                    request.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
                }
                let request = signed(&verifier, request, &id);
                let denied = request.denied(&verifier);
                prop_assert!(denied.is_none(), "{} {secret}: {denied:?}", provider.name);
            }
        }
    }

    #[test]
    fn what_is_signed_as_a_user_describes_it_is_accepted(
        scheme in generic(),
        bytes in prop::collection::vec(any::<u8>(), 0..64),
        id in "[a-z0-9_-]{1,20}",
        (at, flip) in (any::<Index>(), 1..=u8::MAX),
    ) {
        let entry = Entry::Hmac(scheme, Metadata::default());
        let verifier = Verifier::new(entry, &secrets(&["s3cret"])).unwrap();
        let request = signed(&verifier, Request::of(bytes).with("X-Nonce", "n 1"), &id);
        prop_assert_eq!(request.denied(&verifier), None);
        let mut other = request.clone();
        other.body.push(b'x');
        prop_assert!(other.denied(&verifier).is_some());
        let mut other = request;
        let Some(byte) = other.body.get_mut(at.index(64)) else { return Ok(()) };
        *byte ^= flip;
        prop_assert!(other.denied(&verifier).is_some());
    }
}

#[test]
fn an_api_key_is_shown_in_its_header() {
    let verifier =
        Verifier::new(Entry::ApiKey(Position::Header("X-Key")), &secrets(&["first", "second"]))
            .unwrap();
    let request = signed(&verifier, Request::of("{}"), "1");
    assert_eq!(request.headers["x-key"], "first");
    assert_eq!(request.denied(&verifier), None);
}

#[test]
fn what_the_request_says_of_id_and_time_is_signed_as_it_is() {
    let verifier = verifier("StandardWebhooks", &["whsec_AQIDBA=="]);
    let said = Request::of("{}").with("webhook-id", "mine").with("webhook-timestamp", "7");
    let request = signed(&verifier, said, "another");
    assert_eq!(
        (&request.headers["webhook-id"], &request.headers["webhook-timestamp"]),
        (&HeaderValue::from_static("mine"), &HeaderValue::from_static("7"),)
    );
    assert_eq!(request.at(7).denied(&verifier), None);
}

#[test]
fn a_public_key_signs_nothing_unless_there_is_a_secret_beside_it() {
    let input = Request::of("{}");
    let sign = |name, secrets: &[&str]| verifier(name, secrets).sign(&input.input(), "1");
    assert_eq!(sign("Discord", &[PUBLIC_KEY]).unwrap_err(), CannotSign::PublicKey("Discord"));
    let public = "whpk_O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=";
    let error = sign("StandardWebhooks", &[public]).unwrap_err();
    assert_eq!(error, CannotSign::PublicKey("StandardWebhooks"));
    assert!(sign("StandardWebhooks", &[public, "whsec_AQIDBA=="]).is_ok());
    assert_eq!(tokens().verifier().sign(&input.input(), "1").unwrap_err(), CannotSign::Issuer);
}

#[test]
fn what_is_missing_for_a_signature_is_told_and_no_secret_is() {
    let sign = |name, secret: &str| {
        verifier(name, &[secret]).sign(&Request::of("{}").input(), "1").unwrap_err().to_string()
    };
    assert!(sign("Linear", "s").contains("webhookTimestamp"));
    let said = sign("Bearer", "hush\nhush");
    assert!(said.contains("authorization") && !said.contains("hush"), "{said}");
    let proof = verifier("Bearer", &["hush"]).sign(&Request::of("{}").input(), "1").unwrap();
    assert!(!format!("{proof:?}").contains("hush"));
}
