//! Webhooks that ask who sends, in a running program: proofs, rotation, handshakes, and the order of it
//! all.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use crate::support::github::{self, hmac_sha256};
use crate::support::http::{Response, post, request};
use crate::support::https::{Certificate, serve};
use crate::support::listener::Listener;
use crate::support::operator::{APP, Folders, Operator, WEBHOOK, eventually, manifest};

const BODY: &str = r#"{"action": "opened", "name": "zwölf"}"#;

struct Setting {
    folders: Folders,
    operator: Operator,
    listener: Listener,
}

/// A webhook with this in its spec, and these Secrets: name, key, value.
fn setting(spec: &str, secrets: &[(&str, &str, &str)], flags: &[&str]) -> Setting {
    let (folders, listener) = (Folders::new(), Listener::start());
    for (name, key, value) in secrets {
        write_secret(&folders, name, key, value);
    }
    folders.write("shop.yaml", &manifest(&listener.url, "", spec));
    let operator = Operator::standalone(&folders, flags);
    Setting { folders, operator, listener }
}

fn write_secret(folders: &Folders, name: &str, key: &str, value: &str) {
    let yaml = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: team-a}}\nstringData: {{{key}: {value:?}}}\n"
    );
    folders.write(&format!("secret-{name}.yaml"), &yaml);
}

const GITHUB: &str = "  verify: [{type: GitHub, secretRefs: [{name: gh, key: secret}, {name: gh-old, key: secret}]}]";
const SECRETS: [(&str, &str, &str); 2] = [("gh", "secret", "new"), ("gh-old", "secret", "old")];

impl Setting {
    fn signed(&self, secret: &str) -> Response {
        github::post(&self.operator.url(), secret, BODY)
    }

    fn sent(&self, headers: &[(&str, &str)], body: &str) -> Response {
        let mut all = vec![("Content-Type", "application/json")];
        all.extend(headers);
        request("POST", &self.operator.url(), &all, body.as_bytes())
    }

    fn await_reason(&self, reason: &str) -> String {
        let says = |status: &str| status.contains(&format!("reason: {reason}"));
        self.folders.await_status("webhook", "team-a/payments", says)
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn is_refused(answer: &Response) {
    assert_eq!((answer.status, answer.reason().as_str()), (401, "invalid_signature"), "{answer:?}");
    assert_eq!(answer.header("webhook-event-id"), None);
}

#[test]
fn what_is_signed_with_either_live_secret_reaches_the_listener_with_its_event_headers() {
    let setting = setting(GITHUB, &SECRETS, &[]);
    for secret in ["new", "old"] {
        assert_eq!(setting.signed(secret).status, 200);
        let call = setting.listener.call();
        assert!(call.text().contains(&format!(r#""event":{BODY},"#)), "{}", call.text());
        assert_eq!(call.header("x-github-event"), Some("issues"));
        assert_eq!(call.header("x-hub-signature-256"), None);
    }
    is_refused(&setting.signed("neither"));
    is_refused(&post(&setting.operator.url(), BODY));
    let forged = format!("sha256={}", hmac_sha256("new", "another body"));
    is_refused(&setting.sent(&[("X-Hub-Signature-256", &forged)], BODY));
    setting.listener.expect_no_call();
    let log = setting.operator.log().join("\n");
    assert!(!log.contains("sha256=") && !log.contains(WEBHOOK), "{log}");
}

#[test]
fn a_missing_or_empty_secret_stalls_the_webhook_by_name_until_it_is_there() {
    let setting = setting(GITHUB, &SECRETS[..1], &[]);
    let status = setting.await_reason("SecretNotFound");
    assert!(
        status.contains("Secret gh-old (spec.verify[0].secretRefs[1]) does not exist"),
        "{status}"
    );
    assert_eq!(setting.signed("new").status, 503, "never 2xx");
    write_secret(&setting.folders, "gh-old", "other", "old");
    assert!(setting.await_reason("SecretKeyNotFound").contains("Secret gh-old has no key secret"));
    write_secret(&setting.folders, "gh-old", "secret", "\n");
    setting.await_reason("SecretEmpty");
    assert_eq!(setting.signed("\n").status, 503);
    write_secret(&setting.folders, "gh-old", "secret", "old");
    setting.await_reason("Succeeded");
    assert_eq!(setting.signed("old").status, 200);
    let log = setting.operator.log().join("\n");
    assert!(!log.contains("old\\n") && !log.contains("stringData"), "{log}");
}

#[test]
fn a_changed_secret_is_in_force_without_a_restart() {
    let setting = setting(GITHUB, &SECRETS, &[]);
    assert_eq!(setting.signed("new").status, 200);
    write_secret(&setting.folders, "gh", "secret", "newer");
    eventually("the new secret", || (setting.signed("newer").status == 200).then_some(()));
    is_refused(&setting.signed("new"));
    assert_eq!(setting.signed("old").status, 200);
}

#[test]
fn a_line_break_at_the_end_of_a_secret_is_named_while_it_is_there() {
    let setting = setting(GITHUB, &[("gh", "secret", "new\n"), ("gh-old", "secret", "old")], &[]);
    let says = |text: &'static str| move |status: &str| status.contains(text);
    let await_status =
        |text| setting.folders.await_status("webhook", "team-a/payments", says(text));
    let status = await_status("key secret of Secret gh ends with a line break");
    assert!(status.contains("reason: Succeeded") && !status.contains("new"), "{status}");
    // It is part of the secret.
    is_refused(&setting.signed("new"));
    assert_eq!(setting.signed("new\n").status, 200);
    write_secret(&setting.folders, "gh", "secret", "new");
    await_status("message: Accepting triggers\n");
    assert_eq!(setting.signed("new").status, 200);
}

#[test]
fn a_malformed_secret_is_told_without_what_is_in_it() {
    let setting = setting(GITHUB, &SECRETS, &[]);
    let malformed = "apiVersion: v1\nkind: Secret\nmetadata: {name: gh, namespace: team-a}\nstringData: {secret: 4711}\n";
    setting.folders.write("secret-gh.yaml", malformed);
    let line = setting.operator.await_log(&["Secret team-a/gh", "base64"]);
    assert!(!line.contains("4711"), "{line}");
}

#[test]
fn strangers_use_up_nothing_of_the_senders_rate() {
    let spec = format!("{GITHUB}\n  rateLimit: {{requestsPerSecond: 1, burst: 2}}");
    let setting = setting(&spec, &SECRETS, &[]);
    assert_eq!(setting.signed("new").status, 200);
    for _ in 0..10 {
        is_refused(&setting.signed("forged"));
    }
    assert_eq!(setting.signed("new").status, 200);
}

#[test]
fn who_fails_too_often_is_refused_before_the_body_until_some_time_has_passed() {
    let setting = setting(GITHUB, &SECRETS, &[]);
    let statuses: Vec<_> = (0..25).map(|_| setting.signed("forged").status).collect();
    assert!(statuses[..20].iter().all(|status| *status == 401), "{statuses:?}");
    let last = setting.signed("forged");
    assert_eq!((last.status, last.reason().as_str()), (429, "rate_limited"));
    assert!(last.header("retry-after").is_some());
    // Another webhook, and another client, have budgets of their own: see the unit tests.
}

#[test]
fn handshakes_are_answered_after_verification_and_never_reach_the_listener() {
    let spec = "  verify: [{type: Slack, secretRefs: [{name: slack, key: secret}]}]";
    let setting = setting(spec, &[("slack", "secret", "s3cret")], &[]);
    let body = r#"{"type":"url_verification","challenge":"3eZbrw1aB"}"#;
    let timestamp = now().to_string();
    let signature = format!("v0={}", hmac_sha256("s3cret", format!("v0:{timestamp}:{body}")));
    let headers = [("X-Slack-Signature", &*signature), ("X-Slack-Request-Timestamp", &*timestamp)];
    let answer = setting.sent(&headers, body);
    assert_eq!((answer.status, answer.body.as_str()), (200, "3eZbrw1aB"));
    is_refused(&post(&setting.operator.url(), body));
    setting.listener.expect_no_call();
}

#[test]
fn unsigned_checks_of_a_provider_are_answered_without_an_event_and_count_for_nothing() {
    let spec = "  verify: [{type: Slack, secretRefs: [{name: slack, key: secret}]}]\n  rateLimit: {requestsPerSecond: 1, burst: 1}";
    let setting = setting(spec, &[("slack", "secret", "s3cret")], &[]);
    let check = |headers: &[(&str, &str)]| {
        let mut all = vec![("Content-Type", "application/x-www-form-urlencoded")];
        all.extend(headers);
        request("POST", &setting.operator.url(), &all, b"ssl_check=1&token=t")
    };
    // More than the failures that a client may have, and than the rate that the webhook has.
    for _ in 0..25 {
        let answer = check(&[]);
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        assert_eq!(answer.header("webhook-event-id"), None);
    }
    let timestamp = now().to_string();
    let headers = [("X-Slack-Request-Timestamp", &*timestamp), ("X-Slack-Signature", "v0=00")];
    // Nor has any of them made the client a trusted one.
    for _ in 0..20 {
        is_refused(&check(&headers));
    }
    assert_eq!(check(&headers).status, 429);
    setting.listener.expect_no_call();
}

#[test]
fn a_subscription_of_meta_is_answered_where_it_shows_the_verify_token() {
    let spec = "  verify: [{type: Meta, secretRefs: [{name: meta, key: secret}], verifyToken: {name: meta-token, key: token}}]";
    let secrets = [("meta", "secret", "s3cret"), ("meta-token", "token", "t0ken")];
    let setting = setting(spec, &secrets, &[]);
    let ask = |token: &str| {
        let query =
            format!("?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={token}");
        request("GET", &format!("{}{query}", setting.operator.url()), &[], b"")
    };
    let answer = ask("t0ken");
    assert_eq!((answer.status, answer.body.as_str()), (200, "1158201444"));
    is_refused(&ask("guess"));
    assert_eq!(request("GET", &setting.operator.url(), &[], b"").status, 405);
}

#[test]
fn a_challenge_that_the_user_describes_is_answered_without_an_event_and_counts_for_nothing() {
    let challenge = "{method: POST, at: {query: validationToken}, proof: None}";
    let spec = format!(
        "  verify: [{{type: ApiKey, apiKey: {{query: key}}, secretRefs: [{{name: graph, key: key}}], challenge: {challenge}}}]\n  rateLimit: {{requestsPerSecond: 1, burst: 1}}"
    );
    let setting = setting(&spec, &[("graph", "key", "s3cret")], &[]);
    let send = |query: &str, headers: &[(&str, &str)]| {
        request("POST", &format!("{}{query}", setting.operator.url()), headers, b"{}")
    };
    for _ in 0..25 {
        let answer = send("?validationToken=Validation%3A+Testing", &[]);
        assert_eq!((answer.status, answer.body.as_str()), (200, "Validation: Testing"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("webhook-event-id"), None);
    }
    is_refused(&send("?key=guess", &[]));
    setting.listener.expect_no_call();
    let json = [("Content-Type", "application/json")];
    assert!(send("?key=s3cret", &json).status < 300);
    // The key is no header that would be passed on.
    let call = setting.listener.call();
    assert!(!call.head.contains("s3cret"));
    assert_eq!(request("GET", &setting.operator.url(), &[], b"").status, 405);
}

#[test]
fn a_sender_of_cloud_events_is_told_that_it_may_send_where_its_origin_is_allowed() {
    let spec = "  cloudEventsOrigins: [events.example.com]\n  rateLimit: {requestsPerSecond: 2}";
    let setting = setting(spec, &[], &[]);
    let ask = |url: &str, origin: &str| {
        request("OPTIONS", url, &[("WebHook-Request-Origin", origin)], b"")
    };
    let url = setting.operator.url();
    let allowed = ask(&url, "events.example.com");
    assert_eq!(allowed.status, 200);
    assert_eq!(allowed.header("webhook-allowed-origin"), Some("events.example.com"));
    assert_eq!(allowed.header("webhook-allowed-rate"), Some("120"));
    assert_eq!(ask(&url, "elsewhere.example.com").status, 405);
    // Nobody learns from it whether a webhook is there.
    assert_eq!(ask(&url.replace(WEBHOOK, APP), "events.example.com").status, 405);
}

#[test]
fn an_entry_that_can_never_accept_is_told_with_its_place() {
    let spec = "  verify: [{type: Discord, secretRefs: [{name: discord, key: key}]}]";
    let setting = setting(spec, &[("discord", "key", "not hexadecimal")], &[]);
    let status = setting.await_reason("InvalidVerify");
    assert!(status.contains("spec.verify[0]: secret 1 does not have the form"), "{status}");
    assert!(!status.contains("not hexadecimal"), "{status}");
}

/// An issuer's key, and the tokens that it signs.
struct Issuer(Ed25519KeyPair);

impl Issuer {
    fn new() -> Self {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self(Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap())
    }

    fn key_set(&self) -> String {
        let x = URL_SAFE_NO_PAD.encode(self.0.public_key());
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": x}]}).to_string()
    }

    /// A bearer token for an audience, of a minute.
    fn token(&self, audience: &str) -> String {
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let claims = json!({"iss": "https://issuer.example", "aud": audience, "exp": now() + 60});
        let signed = format!("{}.{}", part(json!({"alg": "EdDSA", "kid": "1"})), part(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.0.sign(signed.as_bytes()));
        format!("Bearer {signed}.{signature}")
    }
}

#[test]
fn a_token_is_held_against_the_keys_that_its_issuer_publishes() {
    let (issuer, certificate) = (Issuer::new(), Certificate::of("localhost"));
    let keys = issuer.key_set();
    let port = serve(&certificate, move |_, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{keys}", keys.len())
    });
    let authority = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(authority.path(), &certificate.pem).unwrap();
    let jwt = format!(
        "{{issuer: https://issuer.example, audiences: [us], jwksUrl: \"https://localhost:{port}/keys\"}}"
    );
    let flags = ["--listener-ca-file", authority.path().to_str().unwrap()];
    let setting = setting(&format!("  verify: [{{type: Jwt, jwt: {jwt}}}]"), &[], &flags);
    let send = |token: &str| setting.sent(&[("Authorization", token)], BODY);
    let token = issuer.token("us");
    // Until its keys are there, nobody can tell.
    let first = eventually("the keys", || Some(send(&token)).filter(|it| it.status != 503));
    assert_eq!(first.status, 200);
    let call = setting.listener.call();
    assert_eq!(call.header("authorization"), None);
    is_refused(&send(&issuer.token("them")));
    is_refused(&send(&Issuer::new().token("us")));
    is_refused(&post(&setting.operator.url(), BODY));
}
