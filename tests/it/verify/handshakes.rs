//! What providers ask before they send events.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Response};
use webhook_operator::verify::{Denied, Entry, Secret, Verifier, Verifiers, cloud_events};

use super::request::{NOW, Request, row, secrets, verifier};
use super::sign::{digits, hex};

fn v0(signature: &str, timestamp: &str, secret: &[u8], body: &str) -> Request {
    Request::of(body)
        .with(timestamp, NOW.to_string())
        .with(signature, format!("v0={}", hex(secret, &format!("v0:{NOW}:{body}"))))
}

fn answer(verifier: &Verifier, request: &Request) -> Option<Response<Bytes>> {
    request.check(verifier).unwrap().challenge(&request.input())
}

fn text(response: Option<Response<Bytes>>) -> Option<String> {
    response.map(|response| String::from_utf8(response.into_body().to_vec()).unwrap())
}

#[test]
fn slack_gets_its_challenge_as_text() {
    let slack = verifier("Slack", &["s"]);
    let ask = |body: &str| {
        answer(&slack, &v0("X-Slack-Signature", "X-Slack-Request-Timestamp", b"s", body))
    };
    let body = r#"{"token":"Jhj5dZrVaK7ZwHHjRyZWjbDl","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CyYj9_jB6z","type":"url_verification"}"#;
    let response = ask(body).unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
    assert_eq!(response.body(), "3eZbrw1aBm2rZgRNFdxV2595E9CyYj9_jB6z");
    for event in [
        r#"{"type":"event_callback","challenge":"x"}"#,
        r#"{"type":"url_verification"}"#,
        "payload=%7B%7D",
        "",
    ] {
        assert!(ask(event).is_none(), "{event}");
    }
    let long = format!(r#"{{"type":"url_verification","challenge":"{}"}}"#, "x".repeat(1025));
    assert!(ask(&long).is_none());
}

#[test]
fn zoom_gets_its_token_and_the_hmac_of_it_by_the_secret_that_signed() {
    let zoom = verifier("Zoom", &["other", "s"]);
    let ask = |body: &str| {
        text(answer(&zoom, &v0("x-zm-signature", "x-zm-request-timestamp", b"s", body)))
    };
    let body = r#"{"payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1654503849680,"event":"endpoint.url_validation"}"#;
    let encrypted = hex(b"s", "qgg8vlvZRS6UYooatFL8Aw");
    assert_eq!(
        ask(body),
        Some(format!(
            r#"{{"plainToken":"qgg8vlvZRS6UYooatFL8Aw","encryptedToken":"{encrypted}"}}"#
        ))
    );
    assert_eq!(ask(r#"{"event":"meeting.started","payload":{"plainToken":"x"}}"#), None);
    // Of this form are the texts that Zoom signs: who got its HMAC could forge an event.
    assert_eq!(
        ask(r#"{"event":"endpoint.url_validation","payload":{"plainToken":"v0:1700000000:{}"}}"#),
        None
    );
}

#[test]
fn an_unsigned_question_is_not_answered() {
    let zoom = verifier("Zoom", &["s"]);
    let body = r#"{"event":"endpoint.url_validation","payload":{"plainToken":"x"}}"#;
    assert_eq!(Request::of(body).denied(&zoom), Some(Denied::MissingHeader));
    let forged = v0("x-zm-signature", "x-zm-request-timestamp", b"guess", body);
    assert_eq!(forged.denied(&zoom), Some(Denied::Mismatch));
}

#[test]
fn discord_pings_are_answered_and_its_events_are_not() {
    use ring::signature::{Ed25519KeyPair, KeyPair};
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let public = digits(pair.public_key());
    let discord = verifier("Discord", &[&public]);
    let ask = |body: &str| {
        let signature = pair.sign(format!("{NOW}{body}").as_bytes());
        let request = Request::of(body)
            .with("X-Signature-Timestamp", NOW.to_string())
            .with("X-Signature-Ed25519", digits(signature));
        answer(&discord, &request)
    };
    let ping = ask(r#"{"application_id":"1","id":"2","token":"t","type":1,"version":1}"#).unwrap();
    assert_eq!((ping.status().as_u16(), &**ping.body()), (200, &br#"{"type":1}"#[..]));
    let webhook_ping = ask(r#"{"version":1,"application_id":"1","type":0}"#).unwrap();
    assert_eq!((webhook_ping.status().as_u16(), &**webhook_ping.body()), (204, &b""[..]));
    assert_eq!(webhook_ping.headers()[CONTENT_TYPE], "application/json");
    // In webhook events, type 1 is an event.
    let event =
        r#"{"version":1,"application_id":"1","type":1,"event":{"type":"ENTITLEMENT_CREATE"}}"#;
    assert!(ask(event).is_none());
    assert!(ask(r#"{"type":2,"data":{}}"#).is_none());
    assert!(ask(r#"{"type":"1"}"#).is_none());
    assert!(ask("").is_none());
}

fn meta(token: &str) -> Verifier {
    let verify_token = Some(Secret::new(token.into()).unwrap());
    let entry = Entry::Provider { provider: row("Meta"), legacy: false, verify_token };
    Verifier::new(entry, &secrets(&["app secret"])).unwrap()
}

fn subscribe(verifier: &Verifier, query: &str) -> Option<Result<String, Denied>> {
    let mut request = Request::of("").to(&format!("/apps/a/webhooks/b?{query}"));
    request.method = Method::GET;
    let answer = verifier.challenge(&request.input())?;
    Some(answer.map(|response| String::from_utf8(response.into_body().to_vec()).unwrap()))
}

#[test]
fn meta_gets_its_challenge_for_the_verify_token() {
    let meta = meta("me&my token");
    let right = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=me%26my+token";
    assert_eq!(subscribe(&meta, right), Some(Ok("1158201444".into())));
    for (query, why) in [
        (right.replace("token=me", "token=Me"), Denied::Mismatch),
        (right.replace("me%26my+token", ""), Denied::Mismatch),
        (right.replace("1158201444", &"1".repeat(1025)), Denied::Malformed),
    ] {
        assert_eq!(subscribe(&meta, &query), Some(Err(why)), "{query}");
    }
    for query in [
        "",
        "hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=me%26my+token",
        "hub.challenge=1&hub.verify_token=me%26my+token",
        "hub.mode=subscribe&hub.verify_token=me%26my+token",
        "hub.mode=subscribe&hub.challenge=1",
    ] {
        assert_eq!(subscribe(&meta, query), None, "{query}");
    }
}

#[test]
fn a_challenge_comes_back_as_text_that_no_browser_takes_for_a_page() {
    let query = "hub.mode=subscribe&hub.challenge=%3Cscript%3E&hub.verify_token=t";
    let mut request = Request::of("").to(&format!("/?{query}"));
    request.method = Method::GET;
    let verifier = meta("t");
    let response = verifier.challenge(&request.input()).unwrap().unwrap();
    assert_eq!(response.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    request.method = Method::POST;
    assert!(verifier.challenge(&request.input()).is_none());
}

#[test]
fn a_subscription_is_answered_only_where_a_verify_token_is_configured() {
    let query = "hub.mode=subscribe&hub.challenge=1&hub.verify_token=s";
    assert_eq!(subscribe(&verifier("Meta", &["s"]), query), None);
    assert_eq!(subscribe(&verifier("GitHub", &["s"]), query), None);
}

fn ask_permission(origin: Option<&str>, allowed: &[&str]) -> Option<Response<Bytes>> {
    let mut headers = HeaderMap::new();
    if let Some(origin) = origin {
        headers.insert("WebHook-Request-Origin", origin.parse().unwrap());
        headers.insert("WebHook-Request-Rate", "120".parse().unwrap());
        headers.insert("WebHook-Request-Callback", "https://example.com/".parse().unwrap());
    }
    cloud_events(&Method::OPTIONS, &headers, allowed, Some(100))
}

#[test]
fn a_cloud_events_sender_of_an_allowed_origin_gets_permission() {
    let origin = Some("eventemitter.example.com");
    let response = ask_permission(origin, &["EventEmitter.example.com"]).unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["webhook-allowed-origin"], "eventemitter.example.com");
    assert_eq!(response.headers()["webhook-allowed-rate"], "100");
    assert_eq!(response.headers()["allow"], "POST");
    assert!(ask_permission(origin, &["x", "*"]).is_some());
    for (origin, allowed) in [
        (origin, &["example.com"][..]),
        (origin, &[]),
        (origin, &[""]),
        (Some(""), &["", "*"]),
        (None, &["*"]),
    ] {
        assert!(ask_permission(origin, allowed).is_none(), "{origin:?} {allowed:?}");
    }
    let mut headers = HeaderMap::new();
    headers.insert("WebHook-Request-Origin", "a.example".parse().unwrap());
    let unlimited = cloud_events(&Method::OPTIONS, &headers, &["*"], None).unwrap();
    assert_eq!(unlimited.headers()["webhook-allowed-rate"], "*");
    assert!(cloud_events(&Method::POST, &headers, &["*"], None).is_none());
}

fn is_unsigned_check(entries: &[(&str, &str)], request: &Request) -> bool {
    let made = entries.iter().map(|(name, secret)| verifier(name, &[secret]));
    Verifiers::new(made.collect()).is_unsigned_check(&request.input())
}

fn ssl_check(body: &str) -> Request {
    Request::of(body).with("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
}

fn ping() -> Request {
    Request::of(r#"{"test": true}"#).with("X-Event-Key", "diagnostics:ping")
}

#[test]
fn an_unsigned_check_is_what_the_row_says_and_nothing_else() {
    let slack = |request: Request| is_unsigned_check(&[("Slack", "s")], &request);
    assert!(slack(ssl_check("token=t&ssl_check=1")));
    for body in ["", "ssl_check=0", "ssl_check=11", "Ssl_check=1", "text=ssl_check%3D1"] {
        assert!(!slack(ssl_check(body)), "{body}");
    }
    assert!(!slack(Request::of("ssl_check=1")));
    assert!(!slack(Request::of("ssl_check=1").with("Content-Type", "application/json")));
    assert!(!slack(ssl_check(&format!("ssl_check=1&text={}", "x".repeat(16 * 1024)))));
    assert!(!slack(ping()));
    let bitbucket = |request: Request| is_unsigned_check(&[("Bitbucket", "s")], &request);
    assert!(bitbucket(ping()));
    assert!(!bitbucket(ping().with("X-Event-Key", "repo:push")));
    assert!(!bitbucket(Request::of("{}").with("X-Event-Key", "repo:push")));
    assert!(!bitbucket(ssl_check("ssl_check=1")));
    assert!(!is_unsigned_check(&[("GitHub", "s"), ("Bearer", "s")], &ping()));
    assert!(!is_unsigned_check(&[], &ping()));
}

#[test]
fn a_check_with_any_proof_is_verified_whatever_the_proof_is_worth() {
    let entries = [("Bitbucket", "s"), ("GitLab", "token"), ("GitHub", "s"), ("Bearer", "t")];
    assert!(is_unsigned_check(&entries, &ping()));
    for header in [
        "X-Hub-Signature",
        "X-Hub-Signature-256",
        "X-Gitlab-Token",
        // Also of a scheme for which the entry has no secret.
        "webhook-signature",
        "Authorization",
    ] {
        for value in ["", "guess"] {
            assert!(!is_unsigned_check(&entries, &ping().with(header, value)), "{header}");
        }
    }
    let slack = [("Slack", "s")];
    assert!(!is_unsigned_check(&slack, &ssl_check("ssl_check=1").with("X-Slack-Signature", "")));
}
