//! The envelopes `CloudEvent` and `Raw` in a running program: what the listener gets of a trigger,
//! while the sender waits and from the queue.

use crate::support::http::{Response, request};
use crate::support::listener::{Behaviour, Call, Listener};
use crate::support::operator::{
    APP, Folders, Operator, WEBHOOK, eventually, manifest, queued_manifest,
};
use serde_json::{Value, json};

struct Setting {
    folders: Folders,
    operator: Operator,
    listener: Listener,
}

/// The two modes of delivery.
#[derive(Clone, Copy, Debug)]
enum Mode {
    Sync,
    Queued,
}

const MODES: [Mode; 2] = [Mode::Sync, Mode::Queued];

fn yaml(mode: Mode, url: &str, envelope: &str, webhook: &str) -> String {
    let manifest = match mode {
        Mode::Sync => manifest,
        Mode::Queued => queued_manifest,
    };
    manifest(url, &format!("    envelope: {envelope}"), webhook)
}

fn setting(mode: Mode, envelope: &str, webhook: &str) -> Setting {
    let (folders, listener) = (Folders::new(), Listener::start());
    folders.write("shop.yaml", &yaml(mode, &listener.url, envelope, webhook));
    let operator = Operator::standalone(&folders, &[]);
    Setting { folders, operator, listener }
}

impl Setting {
    fn send(&self, query: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        request("POST", &format!("{}{query}", self.operator.url()), headers, body)
    }

    /// The call that follows a trigger which is accepted.
    fn delivered(&self, query: &str, headers: &[(&str, &str)], body: &[u8]) -> Call {
        let answer = self.send(query, headers, body);
        assert!(matches!(answer.status, 200 | 202), "{} {}", answer.status, answer.body);
        self.listener.call()
    }
}

/// Retries at once, as often as it takes.
const SOON: &str = "  delivery: {retry: {schedule: [100ms], maxAttempts: 100}}";

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[test]
fn an_event_is_a_cloud_event_to_its_listener() {
    for mode in MODES {
        let setting = setting(mode, "CloudEvent", "  props: {userId: 1}");
        let call = setting.delivered("", &[JSON], br#"{ "n": 1.0 }"#);
        assert_eq!(call.header("content-type"), Some("application/cloudevents+json"), "{mode:?}");
        assert!(call.text().contains(r#""data":{ "n": 1.0 }"#), "{}", call.text());
        let mut event = call.json();
        let time = event["time"].take();
        let accepted = time.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let age = jiff::Timestamp::now().duration_since(accepted);
        assert!(!age.is_negative() && age.as_secs() < 60, "{mode:?} {time}");
        assert_eq!(
            event,
            json!({
                "specversion": "1.0",
                "id": call.header("webhook-event-id"),
                "source": format!("/apps/{APP}/webhooks/{WEBHOOK}"),
                "type": "exampleListener",
                "time": null,
                "datacontenttype": "application/json",
                "data": {"n": 1.0},
                "webhookprops": "{\"userId\":1}",
            })
        );
    }
}

#[test]
fn a_sender_of_cloud_events_keeps_its_attributes() {
    for mode in MODES {
        let setting = setting(mode, "CloudEvent", "");
        let binary = [
            JSON,
            ("ce-specversion", "1.0"),
            ("ce-id", "7"),
            ("ce-source", "https://a/b"),
            ("ce-type", "paid"),
            ("ce-shop", "a%20b"),
        ];
        let call = setting.delivered("", &binary, b"{\"n\":1}");
        let mut expected = json!({
            "specversion": "1.0", "id": "7", "source": "https://a/b", "type": "paid",
            "shop": "a b", "datacontenttype": "application/json", "data": {"n": 1},
        });
        assert_eq!(call.json(), expected, "{mode:?}");
        assert_eq!(call.header("ce-shop"), Some("a%20b"));
        expected["time"] = json!("2026-01-01T00:00:00Z");
        let structured = [("Content-Type", "application/cloudevents+json")];
        let call = setting.delivered("", &structured, expected.to_string().as_bytes());
        assert_eq!(call.json(), expected, "{mode:?}");
    }
}

#[test]
fn attributes_of_cloud_events_are_passed_on_in_every_envelope() {
    let setting = setting(Mode::Sync, "Action", "  forwardHeaders: [ce-id, X-Shop]");
    let headers = [JSON, ("ce-id", "7"), ("CE-Source", "/s"), ("x-shop", "a"), ("x-no", "b")];
    let call = setting.delivered("", &headers, b"{}");
    let values = ["ce-id", "ce-source", "x-shop", "x-no"].map(|name| call.header(name));
    assert_eq!(values, [Some("7"), Some("/s"), Some("a"), None]);
    assert_eq!(call.head.matches("ce-id").count(), 1, "{}", call.head);
}

/// A body that is not what its type says, and not even text.
const BYTES: &[u8] = b"\x1f\x8b\x00\xff{";

#[test]
fn raw_is_body_type_encoding_and_query_of_the_sender() {
    for mode in MODES {
        let setting = setting(mode, "Raw", "");
        let headers = [JSON, ("Content-Encoding", "gzip"), ("Cookie", "a=b")];
        let call = setting.delivered("?a=%20&b", &headers, BYTES);
        assert_eq!(call.body, BYTES, "{mode:?}");
        assert!(call.head.starts_with("POST /?a=%20&b HTTP/1.1\r\n"), "{mode:?} {}", call.head);
        let values = ["content-type", "content-encoding", "cookie", "webhook-query"];
        assert_eq!(
            values.map(|name| call.header(name)),
            [Some("application/json"), Some("gzip"), None, None]
        );
        assert_eq!(call.header("webhook-action"), Some("exampleListener"));
        let plain = setting.delivered("", &[], b"");
        assert_eq!((plain.header("content-type"), plain.body.len()), (None, 0), "{mode:?}");
        assert!(plain.head.starts_with("POST / HTTP/1.1\r\n"), "{}", plain.head);
    }
}

#[test]
fn raw_adds_the_query_to_that_of_the_listener() {
    let (folders, listener) = (Folders::new(), Listener::start());
    let url = format!("{}hook?from=operator", listener.url);
    folders.write("shop.yaml", &yaml(Mode::Sync, &url, "Raw", ""));
    let operator = Operator::standalone(&folders, &[]);
    assert_eq!(request("POST", &format!("{}?x=1", operator.url()), &[], b"{}").status, 200);
    let call = listener.call();
    assert!(call.head.starts_with("POST /hook?from=operator&x=1 HTTP/1.1"), "{}", call.head);
}

#[test]
fn a_filter_of_raw_sees_the_event_and_needs_it() {
    let setting = setting(Mode::Sync, "Raw", "  filter: event.n == 1");
    let call = setting.delivered("", &[JSON], b"{\"n\": 1}");
    assert_eq!(call.text(), "{\"n\": 1}");
    let other = setting.send("", &[JSON], b"{\"n\": 2}");
    assert!(other.body.contains("filtered"), "{}", other.body);
    let broken = setting.send("", &[JSON], BYTES);
    assert_eq!((broken.status, broken.reason().as_str()), (400, "invalid_json"));
    setting.listener.expect_no_call();
}

/// What is stored of a raw event is no secret to other envelopes, and no header of theirs.
#[test]
fn a_stored_event_is_delivered_in_the_envelope_that_its_app_has_by_then() {
    let setting = setting(Mode::Queued, "Raw", SOON);
    setting.listener.behave(Behaviour::Answer("503 Service Unavailable"));
    let headers = [JSON, ("Content-Encoding", "identity")];
    setting.delivered("?a=1", &headers, b"{\"n\":1}");
    let action = yaml(Mode::Queued, &setting.listener.url, "Action", SOON);
    setting.folders.write("shop.yaml", &action);
    let call = eventually("a call in the other envelope", || {
        let call = setting.listener.call();
        call.text().starts_with("{\"action\"").then_some(call)
    });
    assert_eq!(call.json()["event"], json!({"n": 1}));
    let values = ["content-encoding", "webhook-query"].map(|name| call.header(name));
    assert_eq!((call.header("content-type"), values), (Some("application/json"), [None, None]));
    assert!(call.head.starts_with("POST / HTTP/1.1"), "{}", call.head);
}

#[test]
fn a_stored_event_that_the_new_envelope_cannot_express_is_dead_with_the_reason() {
    let setting = setting(Mode::Queued, "Raw", SOON);
    setting.listener.behave(Behaviour::Answer("503 Service Unavailable"));
    let id = setting.send("", &[JSON], BYTES).stored();
    setting.listener.call();
    setting.folders.write("shop.yaml", &yaml(Mode::Queued, &setting.listener.url, "Action", ""));
    let dead: Value = eventually("a dead delivery", || {
        let url = format!("{}/api/deliveries/{id}", setting.operator.admin);
        let delivery = request("GET", &url, &[], b"").json();
        (delivery["state"] == "dead").then_some(delivery)
    });
    let last = dead["attempts"].as_array().unwrap().last().unwrap();
    assert!(last["error"].as_str().unwrap().contains("not valid JSON"), "{last}");
}
