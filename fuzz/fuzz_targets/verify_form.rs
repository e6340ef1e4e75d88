//! Whatever a form, its type and its query are, Twilio's signature is accepted if it is right and only then.
#![no_main]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;
use ring::hmac;
use webhook_operator::verify::{Denied, Entry, Input, Provider, Secret, Verifier};

static TWILIO: LazyLock<Verifier> = LazyLock::new(|| {
    let provider = Provider::named("Twilio").expect("a row");
    let secret = Secret::new(b"token".into()).expect("not empty");
    let entry = Entry::Provider { provider, legacy: false, verify_token: None };
    Verifier::new(entry, &[secret]).expect("a complete row")
});

// Lines: the origin, the path with its query, the content type, and the body.
fuzz_target!(|input: &[u8]| {
    let mut lines = input.splitn(4, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (Ok(external_url), Ok(path_and_query)) =
        (std::str::from_utf8(line()), std::str::from_utf8(line()))
    else {
        return;
    };
    let (Ok(content_type), body) = (HeaderValue::from_bytes(line()), line()) else { return };
    let parameters: BTreeSet<_> = form_urlencoded::parse(body).collect();
    let text: String = parameters.iter().flat_map(|(name, value)| [&**name, &**value]).collect();
    let check = |signed: String| {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"token");
        let signature = BASE64_STANDARD.encode(hmac::sign(&key, signed.as_bytes()));
        let mut headers = HeaderMap::new();
        headers.insert("content-type", content_type.clone());
        headers.insert("x-twilio-signature", signature.parse().expect("base64"));
        let method = &Method::POST;
        let input = Input { method, headers: &headers, external_url, path_and_query, body, decoded: Some(body), now: 0 };
        TWILIO.check(&input).map(drop)
    };
    let url = format!("{external_url}{path_and_query}");
    let is_form = content_type == "application/x-www-form-urlencoded";
    let has_digest = path_and_query.contains("bodySHA256");
    if is_form && !has_digest {
        assert_eq!(check(format!("{url}{text}")), Ok(()));
    }
    // A signature of the URL alone covers no body.
    let alone = check(url);
    if !body.is_empty() && !text.is_empty() && !has_digest {
        assert!(matches!(alone, Err(Denied::Mismatch | Denied::BodyNotCovered)));
    }
    assert!(check("something else".into()).is_err());
});
