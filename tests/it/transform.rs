//! Transforms in a running program: what the listener gets in place of the event, and what becomes of
//! events whose transform fails.

use serde_json::{Value, json};

use crate::support::http::{Response, request};
use crate::support::listener::{Behaviour, Listener};
use crate::support::operator::{Folders, Operator, SYNC, eventually, queued_manifest};

/// Retries at once, as often as it takes.
const SOON: &str = "  delivery: {retry: {schedule: [100ms], maxAttempts: 100, jitter: 0}}";

struct Setting {
    folders: Folders,
    operator: Operator,
    listener: Listener,
    changes: u32,
}

impl Setting {
    /// An app and a webhook with this in their specs.
    fn new(app: &str, webhook: &str) -> Self {
        let (folders, listener) = (Folders::new(), Listener::start());
        folders.write("shop.yaml", &queued_manifest(&listener.url, app, webhook));
        let operator = Operator::standalone(&folders, &[]);
        Self { folders, operator, listener, changes: 1 }
    }

    /// Changes the spec of the webhook, and waits until it is served.
    fn change(&mut self, webhook: &str) -> String {
        self.changes += 1;
        // Something else differs as well, so that each change is one of the generation.
        let webhook = format!("  userId: {}\n{webhook}", self.changes);
        self.folders.write("shop.yaml", &queued_manifest(&self.listener.url, "", &webhook));
        let generation = format!("observedGeneration: {}", self.changes);
        let is_served = |status: &str| status.contains(&generation);
        self.folders.await_status("webhook", "team-a/payments", is_served)
    }

    fn send(&self, headers: &[(&str, &str)], body: &str) -> Response {
        self.send_to("", headers, body)
    }

    fn send_to(&self, query: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let mut all = vec![("Content-Type", "application/json")];
        all.extend(headers);
        request("POST", &format!("{}{query}", self.operator.url()), &all, body.as_bytes())
    }

    fn api(&self, method: &str, path: &str) -> Response {
        let headers = [("Content-Type", "application/json")];
        request(method, &format!("{}/api/deliveries{path}", self.operator.admin), &headers, b"")
    }

    fn delivery(&self, id: &str) -> Value {
        self.api("GET", &format!("/{id}")).json()
    }

    fn await_delivery(&self, id: &str, is_awaited: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("{id} to be as awaited"), || {
            Some(self.delivery(id)).filter(|delivery| is_awaited(delivery))
        })
    }

    fn metric(&self, name: &str) -> Option<String> {
        let answer = request("GET", &format!("{}/metrics", self.operator.admin), &[], b"");
        let line = answer.body.lines().find(|line| line.starts_with(name))?;
        line.rsplit(' ').next().map(str::to_owned)
    }
}

/// A webhook with this transform and further fields.
fn with(transform: &str, rest: &str) -> String {
    format!("  transform: '{transform}'\n{rest}")
}

fn ids(setting: &Setting) -> usize {
    setting.api("GET", "").json()["items"].as_array().unwrap().len()
}

#[test]
fn the_object_takes_the_place_of_the_event_in_every_envelope_that_has_one() {
    let transform = r#"{"id": event.id, "sum": event.items.map(i, i.price), "as": event.price}"#;
    let sent = r#"{"id": 12345678901234567890, "items": [{"price": 1}, {"price": 2.50}],
        "price": 0.12345678901234567890}"#;
    let got = r#"{"id":12345678901234567890,"sum":[1,2.5],"as":0.12345678901234567890}"#;
    for (envelope, begins, member) in [
        ("Action", r#"{"action":"#, "event"),
        ("Listener", r#"{"listener":"#, "event"),
        ("CloudEvent", r#"{"specversion":"#, "data"),
    ] {
        for mode in [SYNC, ""] {
            let app = format!("    envelope: {envelope}");
            let setting = Setting::new(&app, &with(transform, mode));
            assert!(setting.send(&[], sent).status < 300, "{envelope}");
            let call = setting.listener.call();
            assert!(call.text().starts_with(begins), "{}", call.text());
            assert!(call.text().contains(&format!(r#""{member}":{got}"#)), "{}", call.text());
        }
    }
}

#[test]
fn a_cloud_event_keeps_its_attributes_except_those_of_its_data() {
    let setting = Setting::new("    envelope: CloudEvent", &with(r#"{"n": event.data.n}"#, SYNC));
    let sent = r#"{"specversion":"1.0","id":"7","source":"/s","type":"t","ext":"e",
        "datacontenttype":"application/x+json","dataschema":"urn:s","data":{"n":1,"more":2}}"#;
    let headers = [("Content-Type", "application/cloudevents+json")];
    assert_eq!(request("POST", &setting.operator.url(), &headers, sent.as_bytes()).status, 200);
    let expected = json!({"specversion": "1.0", "id": "7", "source": "/s", "type": "t", "ext": "e",
        "datacontenttype": "application/json", "data": {"n": 1}});
    assert_eq!(setting.listener.call().json(), expected);
    // Binary: the data is the body.
    let setting = Setting::new("    envelope: CloudEvent", &with(r#"{"n": event.n}"#, SYNC));
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", "7"),
        ("ce-source", "/s"),
        ("ce-type", "t"),
        ("ce-dataschema", "urn:s"),
    ];
    assert_eq!(setting.send(&headers, r#"{"n":1,"more":2}"#).status, 200);
    let expected = json!({"specversion": "1.0", "id": "7", "source": "/s", "type": "t",
        "datacontenttype": "application/json", "data": {"n": 1}});
    assert_eq!(setting.listener.call().json(), expected);
}

#[test]
fn an_event_that_cannot_be_transformed_is_a_422_and_not_stored() {
    for mode in [SYNC, ""] {
        let setting = Setting::new("", &with("event.a", mode));
        for (body, says) in [
            ("{}", "for this event."),
            (r#"{"a": [1]}"#, "for this event: transform must give an object, not list."),
            (r#"{"a": "secret"}"#, "for this event: transform must give an object, not string."),
        ] {
            let answer = setting.send(&[], body);
            assert_eq!((answer.status, answer.reason()), (422, "transform_error".into()), "{body}");
            assert!(answer.header("webhook-event-id").is_some());
            let message = answer.json()["message"].as_str().unwrap().to_owned();
            assert!(message.ends_with(says), "{message}");
        }
        setting.listener.expect_no_call();
        assert_eq!(ids(&setting), 0);
        let metric = "webhook_operator_triggers_total{namespace=\"team-a\",webhook=\"payments\",outcome=\"transform_error\"}";
        assert_eq!(setting.metric(metric).as_deref(), Some("3"));
    }
}

#[test]
fn the_cost_and_the_length_of_the_result_are_limited() {
    let nested = "{\"a\": event.l.map(x, event.l.map(y, event.l.map(z, event.l)))}";
    for transform in [nested, r#"{"a": event.s, "b": event.s}"#] {
        let setting = Setting::new("", &with(transform, &format!("{SYNC}\n  maxBodyBytes: 3000")));
        let list = vec!["1"; 500].join(",");
        let body = format!(r#"{{"l":[{list}],"s":"{}"}}"#, "x".repeat(1600));
        let answer = setting.send(&[], &body);
        assert_eq!((answer.status, answer.reason()), (422, "transform_error".into()));
        setting.listener.expect_no_call();
    }
}

#[test]
fn other_inputs_are_at_an_attempt_what_they_were_at_acceptance() {
    let transform = r#"{"kind": headers["x-kind"], "auth": has(headers.authorization),
        "tenant": query.tenant, "user": props.user, "at": now}"#;
    let props = |user| format!("  props: {{user: {user}}}\n{SOON}");
    let mut setting = Setting::new("", &with(transform, &props(1)));
    setting.listener.behave(Behaviour::Answer("500 Internal Server Error"));
    let headers = [("X-Kind", "a\"\u{e9}"), ("Authorization", "Basic c2VjcmV0")];
    let id = setting.send_to("?tenant=%7Fb", &headers, "{}").stored();
    let first = setting.listener.call();
    let data = first.json()["event"].clone();
    assert_eq!(data["kind"], "a\"\u{e9}");
    assert_eq!((&data["auth"], &data["tenant"]), (&json!(false), &json!("\u{7f}b")));
    assert_eq!(data["user"], 1);
    setting.change(&with(transform, &props(2)));
    let second = eventually("the new props", || {
        Some(setting.listener.call()).filter(|call| call.json()["props"]["user"] == 2)
    });
    assert_eq!(second.json()["event"], data, "and the envelope has the new props");
    // The inputs are neither sent nor shown, and no credential is stored.
    assert!(!second.text().contains("webhook-transform"));
    assert!(
        ["webhook-transform", "webhook-transform-headers"]
            .iter()
            .all(|name| second.header(name).is_none())
    );
    let shown = setting.delivery(&id);
    assert_eq!(
        shown["headers"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|header| { header["name"].as_str().unwrap().starts_with("webhook-") })
            .count(),
        0
    );
    let seen: Value =
        serde_json::from_str(shown["transformed"]["content"]["text"].as_str().unwrap()).unwrap();
    assert_eq!(seen, data);
}

#[test]
fn an_attempt_applies_the_transform_of_its_time_and_a_failure_waits_for_a_correction() {
    let mut setting = Setting::new("", &with(r#"{"v": 1, "n": event.n}"#, SOON));
    setting.listener.behave(Behaviour::Answer("500 Internal Server Error"));
    let id = setting.send(&[], r#"{"n": 1, "private": 2}"#).stored();
    assert_eq!(setting.listener.call().json()["event"], json!({"v": 1, "n": 1}));
    for (transform, error) in [
        ("event.m", "spec.transform failed at 1:7: no such key: \"m\""),
        ("event.n", "spec.transform failed at 1:7: transform must give an object, not int"),
        ("{", "spec.transform does not compile"),
        (
            r#"{"h": headers}"#,
            "spec.transform reads headers, which was not stored when the event was accepted",
        ),
    ] {
        setting.change(&with(transform, SOON));
        let failed = |delivery: &Value| {
            let attempts = delivery["attempts"].as_array().unwrap();
            attempts.last().is_some_and(|last| last["error"] == error && last["status"].is_null())
        };
        let delivery = setting.await_delivery(&id, failed);
        assert_eq!(delivery["state"], "pending");
        assert_eq!(delivery["transformed"], json!({"content": null, "error": error}));
    }
    setting.listener.behave(Behaviour::Answer("200 OK"));
    setting.change(&with(r#"{"v": 2, "n": event.n}"#, SOON));
    setting.await_delivery(&id, |delivery| delivery["state"] == "succeeded");
    // Nothing but results of transforms was ever sent.
    let mut last = Value::Null;
    while let Some(call) = setting.listener.try_call() {
        last = call.json()["event"].clone();
        assert!(last.get("private").is_none(), "{last}");
    }
    assert_eq!(last, json!({"v": 2, "n": 1}));
}

#[test]
fn a_dead_delivery_says_that_its_transform_failed_and_is_replayed_after_a_correction() {
    let once = "  delivery: {retry: {schedule: [100ms], maxAttempts: 2, jitter: 0}}";
    let mut setting = Setting::new("", &with(r#"{"v": event.n}"#, once));
    setting.listener.behave(Behaviour::Answer("503 Service Unavailable"));
    let id = setting.send(&[], r#"{"n": 1}"#).stored();
    setting.await_delivery(&id, |delivery| delivery["state"] == "dead");
    setting.change(&with(r#"{"v": event.m}"#, once));
    let replay = |setting: &Setting| {
        let answer = setting.api("POST", &format!("/{id}/replay"));
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.json()["id"].as_str().unwrap().to_owned()
    };
    let failed = replay(&setting);
    let dead = setting.await_delivery(&failed, |delivery| delivery["state"] == "dead");
    assert_eq!((&dead["reason"], &dead["attemptCount"]), (&json!("TransformFailed"), &json!(2)));
    setting.listener.behave(Behaviour::Answer("200 OK"));
    setting.change(&with(r#"{"w": event.n}"#, once));
    let fixed = replay(&setting);
    setting.await_delivery(&fixed, |delivery| delivery["state"] == "succeeded");
    let calls = std::iter::from_fn(|| setting.listener.try_call());
    assert_eq!(calls.last().unwrap().json()["event"], json!({"w": 1}));
}

#[test]
fn a_duplicate_is_one_even_if_its_transform_fails_now() {
    let dedup = format!("  dedup: {{header: X-Id}}\n{SOON}");
    let mut setting = Setting::new("", &with(r#"{"n": event.n}"#, &dedup));
    let id = setting.send(&[("X-Id", "a")], r#"{"n": 1}"#).stored();
    setting.await_delivery(&id, |delivery| delivery["state"] == "succeeded");
    setting.change(&with(r#"{"n": event.m}"#, &dedup));
    let again = setting.send(&[("X-Id", "a")], r#"{"n": 1}"#);
    assert_eq!((again.status, again.json()), (200, json!({"id": id, "duplicate": true})));
    let other = setting.send(&[("X-Id", "b")], r#"{"n": 1}"#);
    assert_eq!((other.status, other.reason()), (422, "transform_error".into()));
    assert_eq!(ids(&setting), 1, "and the key of a refused event is not kept");
    setting.change(&with(r#"{"n": event.n}"#, &dedup));
    assert_eq!(setting.send(&[("X-Id", "b")], r#"{"n": 1}"#).status, 202);
}

#[test]
fn events_of_a_deleted_webhook_are_transformed_as_when_they_were_accepted() {
    let setting = Setting::new("", &with(r#"{"n": event.n}"#, SOON));
    setting.listener.behave(Behaviour::Answer("500 Internal Server Error"));
    let id = setting.send(&[], r#"{"n": 1, "private": 2}"#).stored();
    setting.listener.call();
    let all = queued_manifest(&setting.listener.url, "", "");
    let (app, _) = all.split_once("---").unwrap();
    setting.folders.write("shop.yaml", app);
    eventually("the webhook to be gone", || (setting.send(&[], "{}").status == 404).then_some(()));
    setting.listener.behave(Behaviour::Answer("200 OK"));
    let delivery = setting.await_delivery(&id, |delivery| delivery["state"] == "succeeded");
    assert_eq!(delivery["transformed"]["content"]["text"], r#"{"n":1}"#);
    let calls: Vec<_> = std::iter::from_fn(|| setting.listener.try_call()).collect();
    assert!(!calls.is_empty());
    assert!(calls.iter().all(|call| call.json()["event"] == json!({"n": 1})));
}

#[test]
fn a_transform_that_cannot_be_applied_stalls_the_webhook_and_says_why() {
    for (app, transform, says) in [
        (
            "",
            "{\"a\": evnt.b}",
            "spec.transform does not compile: 1:7: undeclared reference to 'evnt', at `evnt.b}`",
        ),
        (
            "    envelope: Raw",
            "{\"a\": 1}",
            "spec.transform cannot be applied, as WebhookApp shop has the envelope Raw",
        ),
    ] {
        let setting = Setting::new(app, &with(transform, ""));
        let is_stalled = |status: &str| status.contains("reason: InvalidTransform");
        let status = setting.folders.await_status("webhook", "team-a/payments", is_stalled);
        let words: String = status.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.replace("''", "'").contains(says), "{status}");
        assert_eq!(setting.send(&[], "{}").status, 503);
    }
}

#[test]
fn a_large_result_takes_its_share_of_memory_and_is_delivered() {
    let setting = Setting::new("", &with(r#"{"a": event.s, "b": event.s}"#, SOON));
    let text = "x".repeat(300_000);
    setting.send(&[], &format!(r#"{{"s":"{text}"}}"#)).stored();
    assert_eq!(setting.listener.call().json()["event"], json!({"a": text, "b": text}));
    let small =
        Setting::new("", &with(r#"{"l": event.s.split("").map(c, c + "0123456789")}"#, SOON));
    small.send(&[], &format!(r#"{{"s":"{}"}}"#, "x".repeat(5000))).stored();
    assert_eq!(small.listener.call().json()["event"]["l"].as_array().unwrap().len(), 5000);
}
