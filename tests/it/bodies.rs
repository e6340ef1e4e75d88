//! Bodies of triggers in a running program: content codings, and what becomes `event`.

use serde_json::{Value, json};

use crate::support::encode::{CODINGS, brotli, gzip, zstd};
use crate::support::github::hmac_sha256;
use crate::support::http::{Response, request};
use crate::support::listener::{Call, Listener};
use crate::support::operator::{Folders, Operator, manifest, queued_manifest};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const GZIP: (&str, &str) = ("Content-Encoding", "gzip");

struct Setting {
    folders: Folders,
    operator: Operator,
    listener: Listener,
}

fn setting(app: &str, webhook: &str, flags: &[&str]) -> Setting {
    let (folders, listener) = (Folders::new(), Listener::start());
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: gh, namespace: team-a}\nstringData: {secret: s3cret}\n";
    folders.write("secret.yaml", secret);
    folders.write("shop.yaml", &manifest(&listener.url, app, webhook));
    let operator = Operator::standalone(&folders, flags);
    Setting { folders, operator, listener }
}

impl Setting {
    fn send(&self, headers: &[(&str, &str)], body: &[u8]) -> Response {
        request("POST", &self.operator.url(), headers, body)
    }

    fn delivered(&self, headers: &[(&str, &str)], body: &[u8]) -> Call {
        let answer = self.send(headers, body);
        assert!(matches!(answer.status, 200 | 202), "{headers:?} {answer:?}");
        self.listener.call()
    }

    fn event(&self, headers: &[(&str, &str)], body: &[u8]) -> Value {
        self.delivered(headers, body).json()["event"].clone()
    }

    fn refused(&self, headers: &[(&str, &str)], body: &[u8]) -> (u16, String) {
        let answer = self.send(headers, body);
        (answer.status, answer.reason())
    }
}

const BODY: &[u8] = br#"{"ref": "refs/heads/main", "n": 1.0}"#;

fn refusal(status: u16, reason: &str) -> (u16, String) {
    (status, reason.to_owned())
}

#[test]
fn a_body_in_every_coding_and_pair_of_codings_is_the_plain_body() {
    let setting = setting("", r#"  filter: 'event.n == 1.0'"#, &[]);
    for (name, encode) in CODINGS {
        let call = setting.delivered(&[JSON, ("Content-Encoding", name)], &encode(BODY));
        let body = std::str::from_utf8(BODY).unwrap();
        assert!(call.text().contains(&format!(r#""event":{body},"#)), "{name}: {}", call.text());
        assert_eq!(call.header("content-encoding"), None);
        for (outer, encode_again) in CODINGS {
            let (both, body) = (format!("{name} ,{outer}"), encode_again(&encode(BODY)));
            let event = setting.event(&[JSON, ("content-encoding", &both)], &body);
            assert_eq!(event, json!({"ref": "refs/heads/main", "n": 1.0}), "{both}");
            let headers = [JSON, ("Content-Encoding", name), ("Content-Encoding", outer)];
            assert_eq!(setting.event(&headers, &body), event, "{both} in two headers");
        }
    }
    for identity in ["identity", "Identity, identity", ""] {
        let event = setting.event(&[JSON, ("Content-Encoding", identity)], BODY);
        assert_eq!(event["n"], 1.0, "{identity}");
    }
    let without_filter = br#"{"n": 2}"#;
    assert!(setting.send(&[JSON, GZIP], &gzip(without_filter)).body.contains("filtered"));
}

#[test]
fn an_empty_body_has_nothing_to_decode() {
    let setting = setting("", "", &[]);
    assert_eq!(setting.event(&[JSON, GZIP], b""), json!({}));
    assert_eq!(setting.event(&[JSON, GZIP], &gzip(b"")), json!({}));
}

#[test]
fn what_cannot_be_decoded_is_refused_by_its_cause() {
    let setting = setting("", "  maxBodyBytes: 100000", &[]);
    for unknown in ["compress", "gzip, br, zstd", "utf-8"] {
        let answer = setting.send(&[JSON, ("Content-Encoding", unknown)], BODY);
        assert_eq!((answer.status, answer.reason().as_str()), (415, "unsupported_encoding"));
        assert_eq!(answer.header("accept-encoding"), Some("gzip, deflate, br, zstd"));
    }
    let zeros = vec![b' '; 500_000];
    for (name, encode) in CODINGS {
        let headers = [JSON, ("Content-Encoding", name)];
        let body = encode(BODY);
        for malformed in [&body[..body.len() - 1], &[&body[..], b"x"].concat(), BODY] {
            assert_eq!(
                setting.refused(&headers, malformed),
                refusal(400, "invalid_body"),
                "{name}"
            );
        }
        assert_eq!(setting.refused(&headers, &encode(&zeros)), refusal(413, "payload_too_large"));
        let inner = encode(&encode(&zeros));
        let twice = [JSON, ("Content-Encoding", name), ("Content-Encoding", name)];
        assert_eq!(setting.refused(&twice, &inner), refusal(413, "payload_too_large"), "{name}");
    }
    let longest = [&b"{}"[..], &vec![b' '; 99_998]].concat();
    assert_eq!(setting.event(&[JSON, GZIP], &gzip(&longest)), json!({}));
    setting.listener.expect_no_call();
}

#[test]
fn decoded_bodies_count_in_the_memory_budget_and_are_given_back() {
    let setting = setting("", "", &["--max-buffered-bytes", "2Mi"]);
    let text = |len: usize| [b"\"".to_vec(), vec![b'a'; len], b"\"".to_vec()].concat();
    for (name, encode) in CODINGS {
        let headers = [JSON, ("Content-Encoding", name)];
        // An app may use half.
        let body = encode(&text(1_100_000));
        assert_eq!(setting.refused(&headers, &body), refusal(503, "overloaded"), "{name}");
        for _ in 0..5 {
            setting.delivered(&headers, &encode(&text(100_000)));
        }
    }
}

const GITHUB: &str = "  verify: [{type: GitHub, secretRefs: [{name: gh, key: secret}]}]";

#[test]
fn nothing_is_decoded_for_a_sender_without_a_valid_signature() {
    let setting = setting("", GITHUB, &[]);
    let encoded = gzip(BODY);
    let signature = format!("sha256={}", hmac_sha256("s3cret", &encoded));
    let call = setting.delivered(&[JSON, GZIP, ("X-Hub-Signature-256", &signature)], &encoded);
    assert_eq!(call.json()["event"]["n"], 1.0);
    let over_decoded = format!("sha256={}", hmac_sha256("s3cret", BODY));
    let bomb = gzip(&vec![0; 10_000_000]);
    for (headers, body) in [
        ([JSON, GZIP, ("X-Hub-Signature-256", &*over_decoded)], &encoded),
        ([JSON, GZIP, ("X-Hub-Signature-256", &*signature)], &bomb),
        ([JSON, ("Content-Encoding", "compress"), ("X-Hub-Signature-256", &signature)], &bomb),
    ] {
        assert_eq!(setting.refused(&headers, body), refusal(401, "invalid_signature"));
    }
}

#[test]
fn a_signature_may_cover_the_decoded_body() {
    let decoded = "{type: Hmac, secretRefs: [{name: gh, key: secret}], hmac: {header: X-Signature, over: Decoded}}";
    let encoded =
        "{type: Hmac, secretRefs: [{name: gh, key: secret}], hmac: {header: X-Raw-Signature}}";
    let verify = format!("  verify: [{encoded}, {decoded}]\n  maxBodyBytes: 100000");
    let setting = setting("", &verify, &[]);
    let over_plain = hmac_sha256("s3cret", BODY);
    let over_gzip = hmac_sha256("s3cret", gzip(BODY));
    for (headers, body) in [
        (vec![JSON, ("X-Signature", &*over_plain)], BODY.to_vec()),
        (vec![JSON, GZIP, ("X-Signature", &over_plain)], gzip(BODY)),
        (
            vec![JSON, ("Content-Encoding", "gzip, br"), ("X-Signature", &over_plain)],
            brotli(&gzip(BODY)),
        ),
        (vec![JSON, GZIP, ("X-Raw-Signature", &over_gzip)], gzip(BODY)),
    ] {
        assert_eq!(setting.event(&headers, &body)["n"], 1.0);
    }
    let zeros = vec![0; 500_000];
    for (headers, body, expected) in [
        (vec![JSON, GZIP, ("X-Signature", &*over_gzip)], gzip(BODY), (401, "invalid_signature")),
        (
            vec![JSON, GZIP, ("X-Raw-Signature", &over_plain)],
            gzip(BODY),
            (401, "invalid_signature"),
        ),
        (vec![JSON, GZIP, ("X-Signature", &over_plain)], BODY.to_vec(), (401, "invalid_signature")),
        (vec![JSON, GZIP, ("X-Signature", &over_plain)], gzip(&zeros), (413, "payload_too_large")),
        (
            vec![JSON, ("Content-Encoding", "compress"), ("X-Signature", &over_plain)],
            BODY.to_vec(),
            (401, "invalid_signature"),
        ),
    ] {
        assert_eq!(setting.refused(&headers, &body), refusal(expected.0, expected.1));
    }
    // Accepted by the entry over the encoded body, and then not decodable.
    let signed = hmac_sha256("s3cret", BODY);
    let headers = [JSON, ("Content-Encoding", "compress"), ("X-Raw-Signature", &*signed)];
    assert_eq!(setting.refused(&headers, BODY), refusal(415, "unsupported_encoding"));
}

#[test]
fn raw_passes_any_coding_on_and_decodes_for_expressions_only() {
    let plain = setting("    envelope: Raw", "", &[]);
    for (coding, body) in
        [("gzip", gzip(BODY)), ("gzip", BODY.to_vec()), ("compress", BODY.to_vec())]
    {
        let call = plain.delivered(&[JSON, ("Content-Encoding", coding)], &body);
        assert_eq!((call.header("content-encoding"), &call.body), (Some(coding), &body));
    }
    let filtered = setting("    envelope: Raw", r#"  filter: 'event.n == 1.0'"#, &[]);
    let call = filtered.delivered(&[JSON, ("Content-Encoding", "zstd")], &zstd(BODY));
    assert_eq!((call.header("content-encoding"), &call.body), (Some("zstd"), &zstd(BODY)));
    let headers = [JSON, ("Content-Encoding", "compress")];
    assert_eq!(filtered.refused(&headers, BODY), refusal(415, "unsupported_encoding"));
}

#[test]
fn a_delivery_id_in_a_compressed_body_is_found() {
    let stripe = "  verify: [{type: Stripe, secretRefs: [{name: gh, key: secret}]}]";
    for envelope in ["", "    envelope: Raw"] {
        let setting = setting(envelope, "", &[]);
        setting
            .folders
            .write("shop.yaml", &queued_manifest(&setting.listener.url, envelope, stripe));
        let says = |status: &str| status.contains("reason: Succeeded");
        setting.folders.await_status("webhook", "team-a/payments", says);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let body = gzip(br#"{"id": "evt_1"}"#);
        let signed = [format!("{}.", now.as_secs()).as_bytes(), &body].concat();
        let signature = format!("t={},v1={}", now.as_secs(), hmac_sha256("s3cret", signed));
        let headers = [JSON, GZIP, ("Stripe-Signature", &*signature)];
        let first = crate::support::operator::eventually("the new spec", || {
            Some(setting.send(&headers, &body)).filter(|answer| answer.status == 202)
        });
        setting.listener.call();
        let second = setting.send(&headers, &body);
        assert!(second.body.contains("duplicate"), "{first:?} {second:?}");
    }
}
