//! Requests that real senders make, each for a kind of them, against the running program: the cases of
//! `tests/cases/senders.json`.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::github::hmac_sha256;
use crate::support::http::{Response, request};
use crate::support::listener::{Behaviour, Call, Listener};
use crate::support::operator::{Folders, Operator, eventually};

const GITHUB_SECRET: &str = "s3cr3t";
const SLACK_SECRET: &str = "slacksecret";

#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    spec: Value,
    request: Sent,
    expect: Expected,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    method: String,
    headers: serde_json::Map<String, Value>,
    #[serde(default)]
    body_base64: String,
    #[serde(default)]
    path_suffix: String,
    signed_over: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expected {
    #[serde(default)]
    status: Vec<u16>,
    event: Option<Value>,
    filtered: Option<bool>,
    reason: Option<String>,
    header: Option<String>,
    content_type: Option<String>,
    body: Option<String>,
    #[serde(default)]
    listener_header: serde_json::Map<String, Value>,
    #[serde(default)]
    not_listener_header: Vec<String>,
    ready: Option<bool>,
    #[serde(default)]
    sent_twice: bool,
    calls: Option<usize>,
    listener: Option<String>,
    second: Option<Value>,
    #[serde(default)]
    same_event_id: bool,
}

/// A case in the running program, with a listener of its own.
struct Running {
    case: Case,
    url: String,
    listener: Listener,
}

#[test]
fn each_sender_gets_what_is_right_for_it_from_the_queue() {
    check_all(json!({}));
}

#[test]
fn each_sender_gets_what_is_right_for_it_while_it_waits() {
    check_all(json!({"mode": "Sync"}));
}

/// `delivery` is for webhooks that do not set it themselves.
fn check_all(delivery: Value) {
    let Cases { cases } = serde_json::from_str(include_str!("../cases/senders.json")).unwrap();
    let is_sync = delivery["mode"] == "Sync";
    // Without a queue nothing is recognized as a repetition.
    let cases = cases.into_iter().filter(|case| !is_sync || !case.expect.sent_twice);
    let folders = Folders::new();
    write_secret(&folders, "gh", GITHUB_SECRET);
    write_secret(&folders, "slack", SLACK_SECRET);
    let listeners: Vec<_> = cases.map(|case| (case, Listener::start())).collect();
    for (index, (case, listener)) in listeners.iter().enumerate() {
        folders.write(&format!("{index}.yaml"), &objects(index, case, listener, &delivery));
    }
    let operator = Operator::standalone(&folders, &[]);
    let base = operator.url();
    let base = base.split("/apps/").next().unwrap();
    for (index, (case, listener)) in listeners.into_iter().enumerate() {
        let url = format!("{base}/apps/{}/webhooks/{}", uuid("a", index), uuid("b", index));
        Running { case, url, listener }.check();
    }
}

fn write_secret(folders: &Folders, name: &str, value: &str) {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "team-a"},
        "stringData": {"secret": value},
    });
    folders.write(&format!("secret-{name}.yaml"), &secret.to_string());
}

fn uuid(kind: &str, index: usize) -> String {
    format!("{kind}0000000-0000-4000-8000-{index:012}")
}

fn objects(index: usize, case: &Case, listener: &Listener, delivery: &Value) -> String {
    let object = |kind: &str, spec: Value| {
        json!({
            "apiVersion": "lenra.io/v1alpha1", "kind": kind,
            "metadata": {"name": format!("case-{index}"), "namespace": "team-a"}, "spec": spec,
        })
    };
    let app =
        object("WebhookApp", json!({"uuid": uuid("a", index), "listener": {"url": listener.url}}));
    let mut spec = case.spec.clone();
    spec["app"] = json!(format!("case-{index}"));
    spec["action"] = json!("paid");
    spec["uuid"] = json!(uuid("b", index));
    if spec.get("delivery").is_none() {
        spec["delivery"] = delivery.clone();
    }
    format!("{app}\n---\n{}\n", object("Webhook", spec))
}

impl Running {
    fn check(self) {
        let (name, expect) = (&self.case.name, &self.case.expect);
        if expect.listener.as_deref() == Some("400 at first, then 200") {
            self.listener.behave(Behaviour::Answer("400 Bad Request"));
        }
        let first = self.send();
        let is_accepted = (200..300).contains(&first.status);
        assert_eq!(is_accepted, expect.ready.unwrap_or(is_accepted), "{name}: {first:?}");
        self.check_response(&first);
        if expect.sent_twice {
            return self.check_second(&first);
        }
        if is_accepted && expect.calls != Some(0) {
            self.check_call(&self.listener.call());
        }
        self.listener.expect_no_call();
    }

    fn send(&self) -> Response {
        let Sent { method, headers, body_base64, path_suffix, signed_over } = &self.case.request;
        let body = STANDARD.decode(body_base64).unwrap();
        let mut all: Vec<(String, String)> = headers
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        match signed_over.as_deref() {
            Some("Slack, now") => all.extend(slack(&body)),
            Some("decoded") => all.extend(self.signed(&gunzipped(&body))),
            Some("encoded") => all.extend(self.signed(&body)),
            Some(other) => panic!("signed over {other}"),
            None => {}
        }
        let all: Vec<_> = all.iter().map(|(name, value)| (&**name, &**value)).collect();
        request(method, &format!("{}{path_suffix}", self.url), &all, &body)
    }

    fn signed(&self, body: &[u8]) -> [(String, String); 1] {
        let entry = &self.case.spec["verify"][0];
        let digits = hmac_sha256(GITHUB_SECRET, body);
        match entry["type"].as_str().unwrap() {
            "GitHub" => [("X-Hub-Signature-256".to_owned(), format!("sha256={digits}"))],
            "Hmac" => [(entry["hmac"]["header"].as_str().unwrap().to_owned(), digits)],
            other => panic!("no signature of {other}"),
        }
    }

    fn check_response(&self, response: &Response) {
        let (name, expect) = (&self.case.name, &self.case.expect);
        let is_expected = expect.status.is_empty() || expect.status.contains(&response.status);
        assert!(is_expected, "{name}: {response:?}");
        if let Some(reason) = &expect.reason {
            assert_eq!(&response.reason(), reason, "{name}");
        }
        if let Some(header) = &expect.header {
            assert!(response.header(header).is_some(), "{name}: {response:?}");
        }
        if let Some(content_type) = &expect.content_type {
            assert_eq!(response.header("content-type"), Some(&**content_type), "{name}");
        }
        if let Some(body) = &expect.body {
            assert_eq!(&response.body, body, "{name}");
        }
        if expect.filtered == Some(false) {
            assert!(!response.body.contains("filtered"), "{name}: {response:?}");
        }
    }

    fn check_call(&self, call: &Call) {
        let (name, expect) = (&self.case.name, &self.case.expect);
        if let Some(event) = &expect.event {
            assert_eq!(&call.json()["event"], event, "{name}");
        }
        for (header, value) in &expect.listener_header {
            assert_eq!(call.header(header), value.as_str(), "{name}");
        }
        for header in &expect.not_listener_header {
            assert_eq!(call.header(header), None, "{name}");
        }
    }

    fn check_second(&self, first: &Response) {
        let (name, expect) = (&self.case.name, &self.case.expect);
        self.check_call(&self.listener.call());
        self.listener.behave(Behaviour::Answer("200 OK"));
        let second = match &expect.second {
            None => self.send(),
            // Until the first delivery is recorded as dead, the second one is a duplicate.
            Some(wanted) => eventually("the repetition to be delivered", || {
                let second = self.send();
                let has = |(key, value): (&String, &Value)| &second.json()[key] == value;
                let is_wanted = json!(second.status) == wanted["status"]
                    && wanted["body"].as_object().unwrap().iter().all(has);
                is_wanted.then_some(second)
            }),
        };
        self.check_call(&self.listener.call());
        let id = |response: &Response| response.header("webhook-event-id").map(str::to_owned);
        if expect.same_event_id {
            assert_eq!(id(first), id(&second), "{name}");
        }
        assert!(expect.calls.is_none_or(|calls| calls == 2), "{name}");
    }
}

fn slack(body: &[u8]) -> Vec<(String, String)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let signed = [format!("v0:{now}:").as_bytes(), body].concat();
    vec![
        ("X-Slack-Request-Timestamp".to_owned(), now.to_string()),
        ("X-Slack-Signature".to_owned(), format!("v0={}", hmac_sha256(SLACK_SECRET, signed))),
    ]
}

fn gunzipped(body: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(body), &mut decoded).unwrap();
    decoded
}
