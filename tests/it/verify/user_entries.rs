//! What a user's own entry can say: each field has its effect, and what contradicts is refused with
//! the field.

use serde_json::{Value, json};
use webhook_operator::verify::{CannotSign, Denied};

use super::request::{NOW, Request};
use super::sign::hex;
use super::user_entry::{compile, try_verifier, verifier};
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
