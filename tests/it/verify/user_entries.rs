//! What a user's own entry can say: each field has its effect, and what contradicts is refused with
//! the field.

use http::Method;
use serde_json::{Value, json};
use webhook_operator::verify::{CannotSign, Denied, Verifier, Verifiers};

use super::request::{NOW, Request};
use super::sign::hex;
use super::user_entry::{DOCUMENTED, compile, try_verifier, verifier};
use super::vectors::Vector;

/// An entry of type `Hmac` with these fields.
fn hmac(fields: Value) -> Value {
    let mut hmac = json!({"header": "X-Signature"});
    hmac.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"type": "Hmac", "hmac": hmac})
}

fn items(fields: Value) -> Value {
    hmac(json!({
        "signed": "{timestamp}.{body}", "items": fields, "tolerance": "60s",
    }))
}

fn signed_at(secret: &[u8], time: impl std::fmt::Display) -> String {
    hex(secret, &format!("{time}.{{}}"))
}

#[test]
fn one_of_several_signatures_in_a_list_suffices_and_blanks_around_items_mean_nothing() {
    let verifier = verifier(&items(json!({"signature": "v1", "timestamp": "t"})), &["s"]);
    let denied = |value: String| Request::of("{}").with("X-Signature", value).denied(&verifier);
    let (old, new) = (signed_at(b"old", NOW), signed_at(b"s", NOW));
    for value in [
        format!("t={NOW},v1={new}"),
        format!("t={NOW}, v1={new}"),
        format!("t={NOW},v1={old},v1={new}"),
        format!("v1={new} ,\tt={NOW}").replace('\t', " "),
        format!("t={NOW},v0=anything,v1={new}"),
        format!("t={NOW}000,v1={}", signed_at(b"s", format!("{NOW}000"))),
    ] {
        assert_eq!(denied(value.clone()), None, "{value}");
    }
    let stale = NOW - 61;
    for (value, why) in [
        (format!("t={NOW},v1={old}"), Denied::Mismatch),
        (format!("v1={new}"), Denied::Malformed),
        (format!("t={NOW},t={NOW},v1={new}"), Denied::DoubledHeader),
        (format!("t={NOW}"), Denied::OtherScheme),
        (format!("t={NOW},V1={new}"), Denied::OtherScheme),
        (format!("t={NOW};v1={new}"), Denied::OtherScheme),
        (format!("t={NOW},v1={new},"), Denied::Malformed),
        (format!("t={stale},v1={}", signed_at(b"s", stale)), Denied::Stale),
    ] {
        assert_eq!(denied(value.clone()), Some(why), "{value}");
    }
}

#[test]
fn a_list_may_have_other_marks() {
    let fields = json!({"separator": " ", "assign": ",", "signature": "v1"});
    let verifier = verifier(&hmac(json!({"items": fields})), &["s"]);
    let right = hex(b"s", "{}");
    let denied = |value: String| Request::of("{}").with("X-Signature", value).denied(&verifier);
    assert_eq!(denied(format!("v1a,x v1,{right}")), None);
    assert_eq!(denied(format!("v1={right}")), Some(Denied::Malformed));
}

#[test]
fn the_delivery_id_and_the_event_headers_are_those_that_the_entry_names() {
    let signed = |body: &str| Request::of(body).with("X-Signature", hex(b"s", body));
    let id = |entry: Value, request: Request| {
        let verifier = verifier(&entry, &["s"]);
        let verified = request.check(&verifier).unwrap();
        let id = verified.delivery_id(&request.input())?;
        Some((id.name.to_owned(), id.id.into_owned()))
    };
    let found = |name: &str, id: &str| Some((name.to_owned(), id.to_owned()));
    let header = || hmac(json!({"deliveryId": {"header": "X-Id"}}));
    assert_eq!(id(header(), signed("{}").with("x-id", "7")), found("x-id", "7"));
    assert_eq!(id(header(), signed("{}")), None);
    assert_eq!(id(header(), signed("{}").with("x-id", "7").with("x-id", "7")), None);
    let pointer = || hmac(json!({"deliveryId": {"pointer": "/events/0/id"}}));
    let nested = r#"{"events": [{"id": "evt_1"}]}"#;
    assert_eq!(id(pointer(), signed(nested)), found("events/0/id", "evt_1"));
    assert_eq!(id(pointer(), signed(r#"{"events": [{"id": 12}]}"#)), found("events/0/id", "12"));
    for body in [r#"{"events": []}"#, r#"{"events": [{"id": " "}]}"#, "x"] {
        assert_eq!(id(pointer(), signed(body)), None, "{body}");
    }
    assert_eq!(id(hmac(json!({})), signed(nested)), None);

    let entry =
        hmac(json!({"eventHeaders": ["X-Event", "X-Topic"], "deliveryId": {"header": "X-Id"}}));
    let verifier = verifier(&entry, &["s"]);
    let request = signed("{}");
    let verified = request.check(&verifier).unwrap();
    assert_eq!(verified.event_headers(), ["x-event", "x-topic"]);
    assert!(verified.has_id_in(&"x-id".parse().unwrap()));
    assert!(!verified.has_id_in(&"x-event".parse().unwrap()) && !verified.has_id_in_body());
}

#[test]
fn what_contradicts_is_refused_with_its_field() {
    let timestamp = "hmac: Invalid value: timestampHeader must be set if and only if";
    for (entry, fault) in [
        (items(json!({"signature": "v1"})), timestamp),
        (hmac(json!({"items": {"signature": "v1", "timestamp": "t"}})), timestamp),
        (
            hmac(json!({"signed": "{timestamp}{body}", "timestampHeader": "X-T",
                "items": {"signature": "v1", "timestamp": "t"}})),
            "hmac: Invalid value: only one of timestampHeader and items.timestamp",
        ),
        (
            hmac(json!({"prefix": "sha256=", "items": {"signature": "v1"}})),
            "hmac: Invalid value: prefix cannot be set with items",
        ),
        (hmac(json!({"items": {}})), "hmac.items.signature: Required value"),
        (hmac(json!({"items": {"signature": "v=1"}})), "hmac.items.signature: Invalid value"),
        (
            hmac(json!({"items": {"signature": "v1", "separator": ", "}})),
            "hmac.items.separator: Invalid value: must be at most 1 character",
        ),
        (
            hmac(json!({"items": {"signature": "v1", "separator": "="}})),
            "hmac.items.separator: Invalid value: must match",
        ),
        (
            hmac(json!({"items": {"signature": "v1", "assign": ","}})),
            "hmac.items: Invalid value: separator and assign must differ",
        ),
        (
            items(json!({"signature": "v1", "timestamp": "v1"})),
            "hmac.items: Invalid value: signature and timestamp must be items with different names",
        ),
        (hmac(json!({"deliveryId": {}})), "hmac.deliveryId: Invalid value: exactly one of"),
        (
            hmac(json!({"deliveryId": {"header": "X-Id", "pointer": "/id"}})),
            "hmac.deliveryId: Invalid value: exactly one of",
        ),
        (
            hmac(json!({"deliveryId": {"pointer": "id"}})),
            "hmac.deliveryId.pointer: Invalid value: must match",
        ),
        (
            hmac(
                json!({"deliveryId": {"header": "X-A"}, "idHeader": "X-B", "signed": "{id}.{body}"}),
            ),
            "hmac: Invalid value: deliveryId cannot be set with idHeader",
        ),
        (
            hmac(json!({"eventHeaders": ["X-Event", "Cookie"]})),
            "hmac.eventHeaders[1]: Invalid value: is never forwarded",
        ),
        (hmac(json!({"eventHeaders": ["X Y"]})), "hmac.eventHeaders[0]: Invalid value: must match"),
        (hmac(json!({"eventHeaders": ["X-A", "X-A"]})), "hmac.eventHeaders: Duplicate value"),
    ] {
        let refused = try_verifier(&entry, &["s"]).expect_err(&entry.to_string());
        let fault = format!("spec.verify[0].{fault}");
        assert!(refused.contains(&fault), "{entry}\n  is refused with: {refused}");
    }
}

#[test]
fn what_the_admission_did_not_see_is_refused_all_the_same() {
    for entry in [
        items(json!({"signature": "v1", "separator": ",", "assign": ","})),
        items(json!({"signature": "v1", "separator": "", "assign": "="})),
        hmac(json!({"deliveryId": {}})),
        hmac(json!({"deliveryId": {"pointer": "id"}})),
        hmac(json!({"eventHeaders": ["a b"]})),
        hmac(json!({"items": {"signature": "v1", "timestamp": "t"}})),
    ] {
        let mut whole = entry.clone();
        whole["secretRefs"] = json!([{"name": "sender", "key": "0"}]);
        let refused = compile(&whole, &["s"]).expect_err(&entry.to_string());
        assert!(refused.starts_with("spec.verify[0]: "), "{refused}");
    }
}

/// The secret of a vector, by its case.
fn secret_of(case: &str) -> String {
    let mut vectors = Vector::all().into_iter();
    vectors.find(|vector| vector.case == case).unwrap_or_else(|| panic!("{case}")).secret
}

fn keyed(algorithm: &str, encoding: &str) -> Value {
    hmac(json!({"algorithm": algorithm, "secretEncoding": encoding}))
}

#[test]
fn a_key_of_another_form_or_kind_is_refused_by_its_place_and_not_its_text() {
    let (p256, rsa) = (secret_of("P-256 PEM, 64 bytes"), secret_of("RSA PEM, base64"));
    let ed25519 = secret_of("Ed25519 PEM");
    let jwk = secret_of("P-256 JWK, DER");
    let p256_forms = "a public key of the curve P-256, as PEM, JWK or base64";
    let rsa_forms = "an RSA public key of 2048 to 8192 bits, as PEM, JWK or base64";
    let ed25519_forms = "an Ed25519 public key, as PEM, JWK, base64 or hexadecimal digits";
    for (algorithm, encoding, secret, forms) in [
        ("sha256", "hex", "not digits", "a secret in hexadecimal digits"),
        ("sha256", "base64", "not base64!", "base64"),
        ("ecdsa-p256", "text", &*rsa, p256_forms),
        ("ecdsa-p256", "text", &ed25519, p256_forms),
        ("ecdsa-p256", "text", "any text", p256_forms),
        ("ecdsa-p256", "text", &p256.replace("PUBLIC", "PRIVATE"), p256_forms),
        ("ecdsa-p256", "text", &format!("a key: {p256}"), p256_forms),
        ("ecdsa-p256", "text", &format!("{p256}{p256}"), p256_forms),
        ("ecdsa-p256", "text", &p256.replace("-----END PUBLIC KEY-----", ""), p256_forms),
        ("ecdsa-p256", "text", &jwk.replace("ES256", "ES384"), p256_forms),
        ("ecdsa-p256", "text", &jwk.replace("\"sig\"", "\"enc\""), p256_forms),
        ("ecdsa-p256", "text", &jwk.replace("P-256", "P-521"), p256_forms),
        ("ecdsa-p256", "base64", &p256, "a public key in base64"),
        ("ecdsa-p256", "hex", &p256, "a public key in hexadecimal digits"),
        ("rsa-sha256", "text", &p256, rsa_forms),
        ("rsa-sha256", "text", WEAK_RSA, rsa_forms),
        ("ed25519", "text", &p256, ed25519_forms),
        ("ed25519", "text", "c29tZSB0ZXh0", ed25519_forms),
    ] {
        let refused = try_verifier(&keyed(algorithm, encoding), &[secret]).unwrap_err();
        assert_eq!(
            refused,
            format!("spec.verify[0]: secret 1 does not have the form that Hmac requires: {forms}"),
            "{algorithm} {encoding} {secret}"
        );
    }
}

/// Of 1024 bits.
const WEAK_RSA: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDFdT/b365Soe1Nhh0Acm7WELcscXcl/zSAQrjmiQ56TkIRjJWTZTDpLHc0v2Zw4HfzBUWBJpk0+XuMZY+B3okNL8eXbjbfD2FHJH+lc8Tf5wd3z0ZRr5JdXtEHHZg8kL7cC4lFBIz+cYsl5jLQ0Al73Ng+mFDUhfF+KXN9+cTbxQIDAQAB";

#[test]
fn a_line_break_within_or_after_a_public_key_means_nothing() {
    let pem = secret_of("P-256 PEM, 64 bytes");
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let wrapped = format!("{}\n{}\n", &base64[..64], &base64[64..]);
    for secret in [&*pem.replace('\n', "\r\n"), &*pem.replace('\n', ""), &base64, &wrapped] {
        assert!(try_verifier(&keyed("ecdsa-p256", "text"), &[secret]).is_ok(), "{secret}");
    }
}

#[test]
fn a_public_key_of_a_user_cannot_sign() {
    for case in ["P-256 PEM, 64 bytes", "RSA PEM, base64", "Ed25519 PEM"] {
        let vector = Vector::all().into_iter().find(|vector| vector.case == case).unwrap();
        let error = vector.verifier().sign(&vector.request().input(), "1").unwrap_err();
        assert_eq!(error, CannotSign::PublicKey("Hmac"), "{case}");
    }
}

#[test]
fn a_signed_header_must_be_there_once_and_cannot_run_into_what_follows() {
    let entry = hmac(json!({"signed": "{header:X-Nonce}.{body}"}));
    let verifier = verifier(&entry, &["s"]);
    let request = |nonce: &str, body: &str| {
        let signature = hex(b"s", &format!("{nonce}.{body}"));
        Request::of(body).with("X-Signature", signature).with("X-Nonce", nonce)
    };
    assert_eq!(request("n", "a.b").denied(&verifier), None);
    // The same bytes might be those of the nonce `n`, and another body.
    assert_eq!(request("n.a", "b").denied(&verifier), Some(Denied::Malformed));
    let doubled = request("n", "b").with("X-Nonce", "n");
    assert_eq!(doubled.denied(&verifier), Some(Denied::DoubledHeader));
    let missing = Request::of("b").with("X-Signature", hex(b"s", ".b"));
    assert_eq!(missing.denied(&verifier), Some(Denied::MissingHeader));
    let cannot = verifier.sign(&Request::of("b").input(), "1").unwrap_err();
    assert_eq!(cannot, CannotSign::HeaderMissing("x-nonce".parse().unwrap()));
}

fn api_key(position: Value) -> Value {
    json!({"type": "ApiKey", "apiKey": position})
}

#[test]
fn an_api_key_may_be_in_the_query_or_in_the_body() {
    let query = verifier(&api_key(json!({"query": "token"})), &["old", "n&w kéy"]);
    let denied = |query_text: &str, verifier: &Verifier| {
        Request::of("{}").to(&format!("/apps/a/webhooks/b{query_text}")).denied(verifier)
    };
    for text in ["?token=old", "?a=b&token=n%26w+k%C3%A9y", "?token=n%26w%20k%C3%A9y&Token=x"] {
        assert_eq!(denied(text, &query), None, "{text}");
    }
    for (text, why) in [
        ("", Denied::MissingHeader),
        ("?Token=old", Denied::MissingHeader),
        ("?token=", Denied::Mismatch),
        ("?token=Old", Denied::Mismatch),
        ("?token=old&token=old", Denied::DoubledHeader),
        ("?token=x&token=old", Denied::DoubledHeader),
    ] {
        assert_eq!(denied(text, &query), Some(why), "{text}");
    }
    let proof = query.sign(&Request::of("{}").input(), "1").unwrap();
    assert_eq!(proof.query.as_deref(), Some("token=old"));
    assert!(!format!("{proof:?}").contains("old"));

    let member = verifier(&api_key(json!({"member": "/value/0/clientState"})), &["s3cret"]);
    let right = r#"{"value": [{"clientState": "s3cret"}]}"#;
    assert_eq!(Request::of(right).denied(&member), None);
    assert!(member.sign(&Request::of(right).input(), "1").unwrap().headers.is_empty());
    for (body, why) in [
        (right.replace("s3cret", "S3cret"), Denied::Mismatch),
        (right.replace("\"s3cret\"", "7"), Denied::Malformed),
        (right.replace("clientState", "state"), Denied::MissingHeader),
        (String::new(), Denied::MissingHeader),
    ] {
        assert_eq!(Request::of(&*body).denied(&member), Some(why), "{body}");
    }
    let cannot = member.sign(&Request::of("{}").input(), "1").unwrap_err();
    assert_eq!(cannot, CannotSign::TokenMissing("value/0/clientState".into()));
}

/// An entry of an API key with a challenge.
fn asked(challenge: Value) -> Value {
    let mut entry = api_key(json!({"header": "Authorization"}));
    entry["challenge"] = challenge;
    entry
}

/// The status, the content type and the body of the response to an unsigned challenge.
fn answer(entry: &Value, request: &Request) -> Option<(u16, String, String)> {
    let verifiers = Verifiers::new(vec![verifier(entry, &["token"])]);
    let response = verifiers.challenge(&request.input())?.unwrap();
    let content_type = response.headers().get("content-type");
    let content_type = content_type.map(|value| value.to_str().unwrap().to_owned());
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    Some((response.status().as_u16(), content_type.unwrap_or_default(), body))
}

fn get(query: &str) -> Request {
    Request { method: Method::GET, ..Request::of("").to(&format!("/apps/a/webhooks/b{query}")) }
}

#[test]
fn a_challenge_in_the_query_is_echoed_as_text() {
    let entry = asked(json!({"method": "GET", "at": {"query": "challenge"}, "proof": "None"}));
    let text = |body: &str| Some((200, "text/plain; charset=utf-8".into(), body.to_owned()));
    assert_eq!(answer(&entry, &get("?challenge=%3Cb%3E+1")), text("<b> 1"));
    for query in ["", "?Challenge=1", "?challenge=1&challenge=1"] {
        assert_eq!(answer(&entry, &get(query)), None, "{query}");
    }
    let long = get(&format!("?challenge={}", "x".repeat(1025)));
    let verifiers = Verifiers::new(vec![verifier(&entry, &["token"])]);
    assert_eq!(verifiers.challenge(&long.input()).unwrap().unwrap_err(), Denied::Malformed);
    assert_eq!(answer(&entry, &Request { method: Method::POST, ..get("?challenge=1") }), None);
    // A provider that asks by POST, with a query that no event has.
    let entry =
        asked(json!({"method": "POST", "at": {"query": "validationToken"}, "proof": "None"}));
    let request = Request::of("").to("/apps/a/webhooks/b?validationToken=Validation%3A+Testing");
    assert_eq!(answer(&entry, &request), text("Validation: Testing"));
    assert_eq!(answer(&entry, &request.clone().with("Authorization", "guess")), None);
    assert_eq!(answer(&entry, &Request::of("{}")), None);
}

#[test]
fn a_challenge_in_a_header_or_in_the_body_is_echoed_in_the_form_that_is_wanted() {
    let okta = asked(json!({
        "method": "GET", "at": {"header": "X-Okta-Verification-Challenge"}, "proof": "None",
        "answer": {"form": "Json", "name": "verification"},
    }));
    let request = get("").with("X-Okta-Verification-Challenge", "n\"1");
    let json = |body: &str| Some((200, "application/json".into(), body.to_owned()));
    assert_eq!(answer(&okta, &request), json(r#"{"verification":"n\"1"}"#));
    assert_eq!(answer(&okta, &get("")), None);

    let grid = asked(json!({
        "method": "POST", "when": {"header": "aeg-event-type", "equals": "SubscriptionValidation"},
        "at": {"pointer": "/0/data/validationCode"}, "proof": "None",
        "answer": {"form": "Json", "name": "validationResponse"},
    }));
    let body = r#"[{"id":"1","eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","data":{"validationCode":"512d38b6"}}]"#;
    let request = Request::of(body).with("aeg-event-type", "SubscriptionValidation");
    assert_eq!(answer(&grid, &request), json(r#"{"validationResponse":"512d38b6"}"#));
    assert_eq!(answer(&grid, &Request::of(body)), None);
    assert_eq!(answer(&grid, &Request::of(body).with("aeg-event-type", "Notification")), None);

    let asana = asked(json!({
        "method": "POST", "at": {"header": "X-Hook-Secret"}, "proof": "None",
        "answer": {"form": "Header", "name": "X-Hook-Secret"},
    }));
    let verifiers = Verifiers::new(vec![verifier(&asana, &["token"])]);
    let request = Request::of("{}").with("X-Hook-Secret", "b537207f");
    let response = verifiers.challenge(&request.input()).unwrap().unwrap();
    assert_eq!(response.headers()["x-hook-secret"], "b537207f");
    assert!(response.body().is_empty());
}

#[test]
fn a_challenge_is_answered_only_with_its_proof() {
    let mut token = asked(json!({
        "method": "GET", "when": {"query": "mode", "equals": "subscribe"},
        "at": {"query": "challenge"}, "proof": "Token", "token": {"query": "token"},
    }));
    token["verifyToken"] = json!({"name": "sender", "key": "0"});
    assert!(answer(&token, &get("?mode=subscribe&challenge=1&token=token")).is_some());
    let verifiers = Verifiers::new(vec![verifier(&token, &["token"])]);
    let wrong = get("?mode=subscribe&challenge=1&token=guess");
    assert_eq!(verifiers.challenge(&wrong.input()).unwrap().unwrap_err(), Denied::Mismatch);
    for query in ["?challenge=1&token=token", "?mode=subscribe&challenge=1"] {
        assert_eq!(answer(&token, &get(query)), None, "{query}");
    }

    let signed = asked(json!({
        "method": "POST", "when": {"pointer": "/type", "equals": "verify"},
        "at": {"pointer": "/challenge"}, "proof": "Signature",
    }));
    let signed = verifier(&signed, &["token"]);
    let body = r#"{"type": "verify", "challenge": "c"}"#;
    let unsigned = Request::of(body);
    assert!(signed.challenge(&unsigned.input()).is_none());
    assert_eq!(unsigned.denied(&signed), Some(Denied::MissingHeader));
    let request = unsigned.with("Authorization", "token");
    let response = request.check(&signed).unwrap().challenge(&request.input()).unwrap();
    assert_eq!(&**response.body(), b"c");
    let event =
        Request::of(r#"{"type": "event", "challenge": "c"}"#).with("Authorization", "token");
    assert!(event.check(&signed).unwrap().challenge(&event.input()).is_none());
}

#[test]
fn a_position_or_a_challenge_that_contradicts_itself_is_refused_with_its_field() {
    let none = json!({"method": "GET", "at": {"query": "c"}, "proof": "None"});
    let with = |field: &str, value: Value| {
        let mut challenge = none.clone();
        challenge[field] = value;
        asked(challenge)
    };
    let mut of_provider = json!({"type": "GitHub"});
    of_provider["challenge"] = none.clone();
    for (entry, fault) in [
        (api_key(json!({})), ".apiKey: Invalid value: exactly one of header, query and member"),
        (
            api_key(json!({"header": "X-A", "query": "a"})),
            ".apiKey: Invalid value: exactly one of header, query and member",
        ),
        (api_key(json!({"member": "state"})), ".apiKey.member: Invalid value: must match"),
        (of_provider, ": Invalid value: challenge can be set with types Hmac, Bearer"),
        (with("at", json!({})), ".challenge.at: Invalid value: exactly one of"),
        (with("at", json!({"pointer": "/c"})), ".challenge: Invalid value: at and when cannot"),
        (with("proof", json!("Signature")), ".challenge: Invalid value: proof must be None or"),
        (with("proof", json!("Token")), ".challenge: Invalid value: token must be set with proof"),
        (with("token", json!({"query": "t"})), ".challenge: Invalid value: token must be set"),
        (with("answer", json!({"form": "Json"})), ".challenge.answer: Invalid value: name must"),
        (
            with("answer", json!({"form": "Header", "name": "Content-Length"})),
            ".challenge.answer.name: Invalid value: is set by the operator",
        ),
        (
            asked(json!({"method": "POST", "at": {"pointer": "/c"}, "proof": "None"})),
            ".challenge: Invalid value: when must be set with method POST and at.pointer",
        ),
        (
            asked(
                json!({"method": "GET", "at": {"query": "c"}, "proof": "Token", "token": {"query": "t"}}),
            ),
            ": Invalid value: verifyToken must be set with a challenge whose proof is Token",
        ),
        (
            hmac(json!({"timestampFormat": "rfc3339"})),
            ".hmac: Invalid value: timestampFormat can be set only if",
        ),
        (
            hmac(json!({"signed": "{header:X-A}"})),
            ".hmac.signed: Invalid value: must contain {body}, {sha256:body} or {crc32:body}",
        ),
    ] {
        let refused = try_verifier(&entry, &["s"]).expect_err(&entry.to_string());
        let fault = format!("spec.verify[0]{fault}");
        assert!(refused.contains(&fault), "{entry}\n  is refused with: {refused}");
    }
    for (entry, fault) in [
        (hmac(json!({"signed": "{header:X-A}{body}"})), "{header:x-a} must be followed by"),
        (hmac(json!({"signed": "{haeder:X-A}.{body}"})), "{haeder:X-A} is not one of"),
    ] {
        let refused = try_verifier(&entry, &["s"]).expect_err(&entry.to_string());
        assert!(refused.contains(fault), "{refused}");
    }
}

#[test]
fn what_is_signed_as_a_documented_sender_signs_is_accepted() {
    let public = [("SendGrid", "P-256 PEM, 64 bytes"), ("Telnyx", "Ed25519 key in base64, base64")];
    assert!(DOCUMENTED.len() >= 23);
    for (sender, entry) in &*DOCUMENTED {
        if let Some((_, case)) = public.iter().find(|(name, _)| name == sender) {
            assert!(try_verifier(entry, &[&secret_of(case)]).is_ok(), "{sender}");
            continue;
        }
        // Of any encoding.
        let verifier = verifier(entry, &["00ff"]);
        let mut request = Request::of(r#"{"id": "evt_1"}"#);
        let proof = verifier.sign(&request.input(), "7").unwrap();
        request.headers.extend(proof.headers);
        assert_eq!(request.denied(&verifier), None, "{sender}");
        request.body.push(b' ');
        assert_eq!(request.denied(&verifier), Some(Denied::Mismatch), "{sender}");
    }
}

#[test]
fn the_documented_challenges_are_valid() {
    let page = include_str!("../../../docs/providers.md");
    let (_, table) = page.split_once("| sender | challenge |\n|---|---|\n").unwrap();
    let rows: Vec<_> = table.lines().take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() >= 5);
    for row in rows {
        let challenge: Value = serde_saphyr::from_str(row.split('`').nth(1).unwrap()).unwrap();
        assert!(try_verifier(&asked(challenge), &["s"]).is_ok(), "{row}");
    }
}
