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
    for identity in ["identity", "Identity, identity", "UTF-8", ""] {
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
    for unknown in ["compress", "gzip, br, zstd", "utf-16"] {
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

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const MULTIPART: (&str, &str) = ("Content-Type", "multipart/form-data; boundary=x");

#[test]
fn the_webhook_says_what_a_body_is() {
    for (rule, content_type, body, event) in [
        ("{as: Json}", "text/plain; charset=UTF-8", &br#"{"n": 1}"#[..], json!({"n": 1})),
        (
            "{as: Json}",
            "text/plain; charset=iso-8859-1",
            b"{\"n\": \"\xe9\"}",
            json!({"n": "\u{e9}"}),
        ),
        ("{as: Json}", "application/x-www-form-urlencoded", b"[1]", json!({"_json": [1]})),
        ("{as: Text}", "application/json", b"{", json!({"_text": "{"})),
        ("{as: Binary}", "text/plain", b"a", json!({"_base64": "YQ=="})),
        ("{as: Auto}", "text/plain", b"a", json!({"_text": "a"})),
        ("{as: Json}", "text/plain", b"", json!({})),
    ] {
        let setting = setting("", &format!("  body: {rule}"), &[]);
        assert_eq!(setting.event(&[("Content-Type", content_type)], body), event, "{rule}");
        if rule == "{as: Json}" {
            assert_eq!(setting.refused(&[FORM], b"a=1"), refusal(400, "invalid_json"));
        }
    }
}

#[test]
fn a_field_of_a_form_that_the_webhook_names_is_the_event() {
    let setting = setting("", "  body: {formField: data}\n  filter: 'event.a == 1'", &[]);
    let part = |name: &str, value: &str| {
        format!("--x\r\nContent-Disposition: form-data; name={name}\r\n\r\n{value}\r\n")
    };
    let multipart = format!("{}{}--x--", part("b", "2"), part("data", r#"{"a": 1}"#));
    for (headers, body) in
        [(FORM, "data=%7B%22a%22%3A1%7D&x=1"), (MULTIPART, &*multipart), (JSON, r#"{"a": 1}"#)]
    {
        assert_eq!(setting.event(&[headers], body.as_bytes()), json!({"a": 1}), "{body}");
    }
    for body in ["x=1", "data=1", "data=[]", "data=%7B", "data={}&data={}"] {
        let answer = setting.send(&[FORM], body.as_bytes());
        assert_eq!((answer.status, answer.reason().as_str()), (400, "invalid_form"), "{body}");
        assert!(answer.body.contains("body.formField"), "{answer:?}");
    }
    setting.listener.expect_no_call();
}

#[test]
fn providers_that_send_json_in_a_form_are_known() {
    let github = setting("", &format!("{GITHUB}\n  filter: 'event.ref == \"x\"'"), &[]);
    let body = b"payload=%7B%22ref%22%3A%22x%22%2C%22n%22%3A1.0%7D";
    let signature = |body: &[u8]| format!("sha256={}", hmac_sha256("s3cret", body));
    let event = github.event(&[FORM, ("X-Hub-Signature-256", &signature(body))], body);
    assert_eq!(event, json!({"ref": "x", "n": 1.0}));
    // Nothing says so to a webhook without the provider, and no form of the provider must have it.
    let plain = setting("", "", &[]);
    assert_eq!(plain.event(&[FORM], b"payload=%7B%7D"), json!({"payload": "{}"}));
    let command = setting("", GITHUB, &[]);
    for (body, event) in [
        (&b"command=%2Fdeploy&text=x"[..], json!({"command": "/deploy", "text": "x"})),
        (b"payload=x", json!({"payload": "x"})),
    ] {
        let found = command.event(&[FORM, ("X-Hub-Signature-256", &signature(body))], body);
        assert_eq!(found, event);
    }
}

/// The spec changes and the operator restarts between the trigger and its delivery.
#[test]
fn a_stored_event_is_converted_by_the_rule_of_its_time() {
    let (folders, listener) = (Folders::new(), Listener::start());
    let retry = "  delivery: {retry: {schedule: [1s], maxAttempts: 100}}";
    let yaml = |envelope: &str, body: &str| {
        queued_manifest(
            &listener.url,
            &format!("    envelope: {envelope}"),
            &format!("{retry}\n{body}"),
        )
    };
    for envelope in ["Action", "Raw"] {
        folders.write("shop.yaml", &yaml(envelope, "  body: {formField: data}"));
        listener.behave(crate::support::listener::Behaviour::Answer("503 Service Unavailable"));
        let operator = Operator::standalone(&folders, &[]);
        let answer = request("POST", &operator.url(), &[FORM], b"data=%7B%22a%22%3A1%7D");
        assert_eq!(answer.status, 202, "{answer:?}");
        let first = listener.call();
        assert_eq!(first.header("webhook-body-rule"), None);
        drop(operator);
        folders.write("shop.yaml", &yaml("Action", "  body: {as: Text}"));
        listener.behave(crate::support::listener::Behaviour::Answer("200 OK"));
        while listener.try_call().is_some() {}
        let _operator = Operator::standalone(&folders, &[]);
        assert_eq!(listener.call().json()["event"], json!({"a": 1}), "{envelope}");
    }
}

#[test]
fn the_shape_of_an_event_does_not_depend_on_its_bytes() {
    let setting = setting("", "", &[]);
    for content_type in
        ["application/octet-stream", "application/x-protobuf", "image/png", "application/pdf"]
    {
        for (bytes, base64) in
            [(&b"\x08\x01"[..], "CAE="), (b"text", "dGV4dA=="), (b"\xff", "/w==")]
        {
            let event = setting.event(&[("Content-Type", content_type)], bytes);
            assert_eq!(event, json!({ "_base64": base64 }), "{content_type}");
        }
    }
    for bytes in [&b"text"[..], b"\xff"] {
        let head = "--x\r\nContent-Disposition: form-data; name=f; filename=\"a.pdf\"\r\nContent-Type: application/pdf\r\n\r\n";
        let body = [head.as_bytes(), bytes, b"\r\n--x--"].concat();
        let event = setting.event(&[MULTIPART], &body);
        assert_eq!(
            (&event["f"]["name"], &event["f"]["type"]),
            (&json!("a.pdf"), &json!("application/pdf"))
        );
        assert!(event["f"]["data"].is_string());
    }
    for (body, event) in [
        (r#"{"text":"a=b&c"}"#, json!({"text": "a=b&c"})),
        (r#" {"a":1} "#, json!({"a": 1})),
        (r#"{"text":"a=b&c""#, json!({"{\"text\":\"a": "b", "c\"": ""})),
        ("[1]", json!({"[1]": ""})),
    ] {
        assert_eq!(setting.event(&[FORM], body.as_bytes()), event, "{body}");
    }
}

#[test]
fn a_field_needs_a_form_that_is_recognized() {
    let (folders, listener) = (Folders::new(), Listener::start());
    folders.write("shop.yaml", &manifest(&listener.url, "", "  body: {as: Json, formField: data}"));
    let operator = Operator::standalone(&folders, &[]);
    let status =
        folders.await_status("webhook", "team-a/payments", |status| status.contains("formField"));
    assert!(status.contains("formField needs as Auto"), "{status}");
    assert_eq!(request("POST", &operator.url(), &[JSON], b"{}").status, 404);
}
