//! What senders get: `spec.response`, `spec.probes` and the defaults of providers, in a running program;
//! and what listeners get besides the body: prefixes of headers, and the query string.

use serde_json::json;

use crate::support::github::hmac_sha256;
use crate::support::http::{Response, post, request};
use crate::support::listener::{Behaviour, Listener};
use crate::support::operator::{Folders, Operator, SYNC, eventually, manifest, queued_manifest};

struct Setting {
    folders: Folders,
    operator: Operator,
    listener: Listener,
}

/// A webhook with this in its spec. Some specs need `delivery`, so it is not set here.
fn setting(spec: &str) -> Setting {
    let (folders, listener) = (Folders::new(), Listener::start());
    folders.write("shop.yaml", &queued_manifest(&listener.url, "", spec));
    let operator = Operator::standalone(&folders, &[]);
    Setting { folders, operator, listener }
}

impl Setting {
    fn post(&self) -> Response {
        post(&self.operator.url(), r#"{"n":1}"#)
    }
}

fn shown(response: &Response) -> (u16, Option<&str>, &str) {
    (response.status, response.header("content-type"), &response.body)
}

#[test]
fn a_fixed_response_takes_the_place_of_each_accepting_one() {
    let xml = (200, Some("text/xml"), "<Response/>");
    let fixed = "  response: {status: 200, contentType: text/xml, body: <Response/>}\n";
    let setting =
        setting(&format!("{fixed}  dedup: {{key: string(event.n)}}\n  filter: event.n < 2"));
    let stored = setting.post();
    assert_eq!(shown(&stored), xml);
    assert_eq!(stored.header("x-content-type-options"), Some("nosniff"));
    let duplicate = setting.post();
    assert_eq!(shown(&duplicate), xml);
    assert_eq!(duplicate.header("webhook-event-id"), stored.header("webhook-event-id"));
    let filtered = post(&setting.operator.url(), r#"{"n":2}"#);
    assert_eq!(shown(&filtered), xml);
    // What was not accepted keeps its status and its reason.
    let failed = post(&setting.operator.url(), "{");
    assert_eq!((failed.status, failed.reason()), (400, "invalid_json".to_owned()));
    setting.listener.call();
    setting.listener.expect_no_call();
}

#[test]
fn what_a_response_does_not_set_stays_as_it_is() {
    let setting = setting("  response: {status: 200}");
    let response = setting.post();
    let id = response.header("webhook-event-id").unwrap().to_owned();
    assert_eq!(shown(&response), (200, Some("application/json"), &*format!(r#"{{"id":"{id}"}}"#)));
    for (spec, expected) in [
        ("{body: thanks}", (202, Some("text/plain; charset=utf-8"), "thanks")),
        ("{body: ''}", (202, None, "")),
        ("{status: 204}", (204, None, "")),
        ("{status: 204, body: ''}", (204, None, "")),
    ] {
        let webhook = format!("  response: {spec}");
        setting.folders.write("shop.yaml", &queued_manifest(&setting.listener.url, "", &webhook));
        eventually(spec, || (shown(&setting.post()) == expected).then_some(()));
    }
}

#[test]
fn a_sync_webhook_answers_what_its_listener_answers() {
    let setting =
        setting(&format!("{SYNC}\n  response: {{from: Listener}}\n  filter: event.n == 1"));
    let reply = "201 Created\r\nContent-Type: text/html; charset=x\r\nX-Secret: 1";
    setting.listener.behave(Behaviour::Reply(reply, b"<b>\xc3\xa9</b>"));
    let response = setting.post();
    assert_eq!(shown(&response), (201, Some("text/html; charset=x"), "<b>é</b>"));
    assert_eq!(response.header("x-secret"), None);
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    assert!(response.header("webhook-event-id").is_some());
    // No listener is asked for an event that the filter excludes.
    let filtered = post(&setting.operator.url(), r#"{"n":2}"#);
    assert_eq!((filtered.status, &filtered.json()["filtered"]), (200, &json!(true)));
    setting.listener.behave(Behaviour::Reply("400 Bad Request", b"internal"));
    let refused = setting.post();
    assert_eq!((refused.status, refused.reason()), (502, "listener_error".to_owned()));
    assert!(!refused.body.contains("internal"));
}

#[test]
fn a_response_of_the_listener_has_at_most_a_mebibyte_and_the_time_of_the_attempt() {
    let (folders, listener) = (Folders::new(), Listener::start());
    let app = "    timeout: 300ms";
    folders.write("shop.yaml", &manifest(&listener.url, app, "  response: {from: Listener}"));
    let operator = Operator::standalone(&folders, &[]);
    let post = || post(&operator.url(), "{}");
    listener.behave(Behaviour::Stream(1 << 20));
    let longest = post();
    assert_eq!((longest.status, longest.body.len()), (200, 1 << 20));
    listener.behave(Behaviour::Stream((1 << 20) + 1));
    assert_eq!((post().status, post().reason()), (502, "listener_error".to_owned()));
    listener.behave(Behaviour::Answer("200 OK\r\nX: "));
    assert_eq!(shown(&post()), (200, None, ""));
    listener.behave(Behaviour::Hang);
    assert_eq!((post().status, post().reason()), (504, "listener_timeout".to_owned()));
}

#[test]
fn probes_are_answered_without_an_event_and_only_where_they_are_asked_for() {
    let setting = setting("  probes: [HEAD, GET]");
    let url = setting.operator.url();
    for method in ["HEAD", "GET"] {
        let answer = request(method, &url, &[], b"");
        assert_eq!((answer.status, &*answer.body), (200, ""), "{method}");
        assert_eq!(answer.header("webhook-event-id"), None);
    }
    assert_eq!(request("PUT", &url, &[], b"").status, 405);
    let webhook = "  probes: [HEAD]\n  sourceRanges: [192.0.2.0/24]";
    setting.folders.write("shop.yaml", &queued_manifest(&setting.listener.url, "", webhook));
    eventually("the source ranges", || {
        (request("HEAD", &url, &[], b"").status == 403).then_some(())
    });
    assert_eq!(request("GET", &url, &[], b"").status, 405);
    setting.folders.write(
        "shop.yaml",
        &queued_manifest(&setting.listener.url, "", "  suspend: true\n  probes: [HEAD]"),
    );
    eventually("the suspension", || (request("HEAD", &url, &[], b"").status == 503).then_some(()));
    setting.listener.expect_no_call();
}

#[test]
fn a_provider_gets_the_response_that_it_takes_unless_the_webhook_says_otherwise() {
    let setting = setting("  verify: [{type: Linear, secretRefs: [{name: linear, key: secret}]}]");
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: linear, namespace: team-a}\nstringData: {secret: abc}";
    setting.folders.write("secret.yaml", secret);
    let send = || {
        let now = jiff::Timestamp::now().as_millisecond();
        let body = format!(r#"{{"webhookTimestamp":{now}}}"#);
        let signature = hmac_sha256("abc", &body);
        let headers = [("Content-Type", "application/json"), ("Linear-Signature", &*signature)];
        request("POST", &setting.operator.url(), &headers, body.as_bytes())
    };
    eventually("the secret", || (send().status == 200).then_some(()));
    assert_eq!(shown(&send()), (200, None, ""));
    let webhook = "  verify: [{type: Linear, secretRefs: [{name: linear, key: secret}]}]\n  response: {status: 201}";
    setting.folders.write("shop.yaml", &queued_manifest(&setting.listener.url, "", webhook));
    let own =
        eventually("the webhook's own response", || Some(send()).filter(|sent| sent.status == 201));
    assert!(own.body.starts_with(r#"{"id":"#), "{}", own.body);
}

#[test]
fn a_listener_sees_the_query_string_where_it_is_asked_for() {
    let setting = setting("  forwardQuery: true\n  forwardHeaders: [X-Shop-*, X-Exact]");
    let url = format!("{}?a=%20&token=t", setting.operator.url());
    let headers = [
        ("Content-Type", "application/json"),
        ("x-shop-id", "1"),
        ("X-SHOP-ID", "2"),
        ("X-Shop-", "3"),
        ("x-shopping", "4"),
        ("X-Exact", "5"),
        ("Webhook-Query", "forged"),
    ];
    assert_eq!(request("POST", &url, &headers, b"{}").status, 202);
    let call = setting.listener.call();
    assert_eq!(call.header("webhook-query"), Some("a=%20&token=t"));
    let lines = |name: &str| call.head.to_lowercase().matches(&format!("\r\n{name}: ")).count();
    assert_eq!(["x-shop-id", "x-shop-", "x-shopping", "x-exact"].map(lines), [2, 1, 0, 1]);
    assert_eq!(setting.post().status, 202);
    assert_eq!(setting.listener.call().header("webhook-query"), None);
}

#[test]
fn a_raw_listener_gets_the_query_string_in_both_places() {
    let (folders, listener) = (Folders::new(), Listener::start());
    let webhook = "  forwardQuery: true";
    folders.write("shop.yaml", &queued_manifest(&listener.url, "    envelope: Raw", webhook));
    let operator = Operator::standalone(&folders, &[]);
    assert_eq!(post(&format!("{}?a=1", operator.url()), "{}").status, 202);
    let call = listener.call();
    assert!(call.head.starts_with("POST /?a=1 "), "{}", call.head);
    assert_eq!(call.header("webhook-query"), Some("a=1"));
    assert_eq!(call.header("webhook-raw-query"), None);
}

#[test]
fn the_program_says_what_is_wrong_with_a_response() {
    let folders = Folders::new();
    for (spec, message) in [
        ("  response: {}", "either from or at least one of status and body must be set"),
        ("  response: {from: Listener}", "response.from needs delivery.mode Sync"),
        ("  response: {status: 404}", "spec.response.status"),
        ("  response: {status: 204, body: x}", "status 204 or 205 has no body"),
        ("  forwardHeaders: [X-*-Id]", "spec.forwardHeaders[0]"),
        ("  probes: [POST]", "spec.probes[0]"),
    ] {
        folders.write("shop.yaml", &queued_manifest("http://127.0.0.1:9/", "", spec));
        let operator = Operator::standalone(&folders, &[]);
        operator.await_log(&[message]);
        assert_eq!(post(&operator.url(), "{}").status, 404, "{spec}");
    }
}
