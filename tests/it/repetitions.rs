//! Senders that send an event again, in a running program: what was not delivered is, and what was is not, unless
//! somebody asked for it.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::github::hmac_sha256;
use crate::support::http::{Response, request};
use crate::support::listener::{Behaviour, Listener};
use crate::support::operator::{Folders, Operator, eventually, queued_manifest};

const OK: Behaviour = Behaviour::Answer("200 OK");
const REFUSES: Behaviour = Behaviour::Answer("400 Bad Request");

/// One attempt, and no second one while the test lasts.
const ONCE: &str = "  delivery: {retry: {schedule: [1h]}}\n";

struct Setting {
    folders: Folders,
    operator: Operator,
    listener: Listener,
}

impl Setting {
    /// A webhook that verifies a provider, with this in its spec.
    fn of(provider: &str, rest: &str) -> Self {
        let (folders, listener) = (Folders::new(), Listener::start());
        let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: team-a}\nstringData: {secret: right}\n";
        folders.write("secret.yaml", secret);
        let verify =
            format!("  verify: [{{type: {provider}, secretRefs: [{{name: s, key: secret}}]}}]\n");
        let webhook = format!("{ONCE}{verify}{rest}");
        folders.write("shop.yaml", &queued_manifest(&listener.url, "", &webhook));
        let operator = Operator::standalone(&folders, &[]);
        Self { folders, operator, listener }
    }

    /// The next process meets a listener that does this.
    fn kill_and_restart(self, behaviour: Behaviour) -> Self {
        let Self { folders, operator, listener } = self;
        operator.kill();
        listener.behave(behaviour);
        let operator = Operator::standalone(&folders, &[]);
        Self { folders, operator, listener }
    }

    fn github(&self, guid: &str, body: &str) -> Response {
        let signature = format!("sha256={}", hmac_sha256("right", body));
        let headers = [
            ("Content-Type", "application/json"),
            ("X-Hub-Signature-256", &*signature),
            ("X-GitHub-Hook-ID", "7"),
            ("X-GitHub-Delivery", guid),
        ];
        request("POST", &self.operator.url(), &headers, body.as_bytes())
    }

    fn stripe(&self, body: &str) -> Response {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let signature = hmac_sha256("right", format!("{now}.{body}"));
        let signature = format!("t={now},v1={signature}");
        let headers = [("Content-Type", "application/json"), ("Stripe-Signature", &*signature)];
        request("POST", &self.operator.url(), &headers, body.as_bytes())
    }

    /// Waits until the latest delivery is in this state.
    fn await_latest(&self, state: &str) -> Value {
        let url = format!("{}/api/deliveries?limit=1", self.operator.admin);
        eventually(&format!("the latest delivery to be {state}"), || {
            let latest = request("GET", &url, &[], b"").json()["items"][0].clone();
            (latest["state"] == state).then_some(latest)
        })
    }

    /// Waits until an attempt of the latest delivery is recorded.
    fn await_attempt(&self) {
        eventually("an attempt to be recorded", || {
            (self.await_latest("pending")["attemptCount"] == 1).then_some(())
        });
    }

    /// The listener is called with this event, and not again.
    fn is_called_once(&self, id: &str, body: &str) {
        let call = self.listener.call();
        assert_eq!(call.header("webhook-event-id"), Some(id));
        assert_eq!(call.header("webhook-attempt"), Some("1"));
        assert_eq!(call.json()["event"], serde_json::from_str::<Value>(body).unwrap());
        assert!(self.listener.try_call().is_none());
    }

    fn count(&self, outcome: &str) -> f64 {
        let url = format!("{}/metrics", self.operator.admin);
        let metrics = request("GET", &url, &[], b"").body;
        let is_meant = |line: &&str| {
            line.starts_with("webhook_operator_triggers_total{")
                && line.contains(&format!("outcome=\"{outcome}\""))
        };
        let values = metrics.lines().filter(is_meant).filter_map(|line| line.rsplit(' ').next());
        values.map(|value| value.parse::<f64>().unwrap()).sum()
    }
}

fn stored(answer: &Response) -> String {
    assert_eq!(answer.status, 202, "{}", answer.body);
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.json(), json!({"id": id}));
    id
}

fn is_replayed(answer: &Response, first: &str) {
    assert_eq!((answer.status, answer.json()), (202, json!({"id": first, "replayed": true})));
    assert_eq!(answer.header("webhook-event-id"), Some(first));
}

fn is_duplicate(answer: &Response, first: &str) {
    assert_eq!((answer.status, answer.json()), (200, json!({"id": first, "duplicate": true})));
    assert_eq!(answer.header("webhook-event-id"), Some(first));
}

/// What GitHub's button "Redeliver" sends.
#[test]
fn a_delivery_that_is_sent_again_by_hand_is_delivered_again() {
    let own_header = "  dedup: {header: X-GitHub-Delivery}\n";
    for rest in ["", own_header] {
        let setting = Setting::of("GitHub", rest);
        setting.listener.behave(REFUSES);
        let body = r#"{"ref":"refs/heads/main","n":1}"#;
        let first = stored(&setting.github("d-2", body));
        setting.is_called_once(&first, body);
        setting.await_latest("dead");
        setting.listener.behave(OK);
        // What is delivered is what was stored.
        is_replayed(&setting.github("d-2", r#"{"changed":true}"#), &first);
        setting.is_called_once(&first, body);
        setting.await_latest("succeeded");
        let other = stored(&setting.github("d-3", body));
        setting.is_called_once(&other, body);
        assert_eq!((setting.count("replayed"), setting.count("stored")), (1.0, 2.0));
        setting.await_latest("succeeded");
        let setting = setting.kill_and_restart(OK);
        is_replayed(&setting.github("d-2", body), &first);
        setting.is_called_once(&first, body);
    }
}

#[test]
fn a_sender_that_repeats_by_itself_gets_delivered_what_was_not() {
    let setting = Setting::of("Stripe", "");
    setting.listener.behave(REFUSES);
    let body = r#"{"id":"evt_1","n":1}"#;
    let first = stored(&setting.stripe(body));
    setting.is_called_once(&first, body);
    setting.await_latest("dead");
    setting.listener.behave(Behaviour::Answer("500 Internal Server Error"));
    is_replayed(&setting.stripe(body), &first);
    setting.is_called_once(&first, body);
    // It is under way: its next attempt is due in an hour.
    is_duplicate(&setting.stripe(body), &first);
    setting.await_attempt();
    let setting = setting.kill_and_restart(OK);
    is_duplicate(&setting.stripe(body), &first);

    let body = r#"{"id":"evt_2","n":1}"#;
    let second = stored(&setting.stripe(body));
    setting.await_latest("succeeded");
    is_duplicate(&setting.stripe(body), &second);
    assert_eq!(setting.count("duplicate"), 2.0);
}

#[test]
fn a_repetition_that_was_answered_is_delivered_after_the_process_was_killed() {
    let setting = Setting::of("GitHub", "");
    setting.listener.behave(REFUSES);
    let first = stored(&setting.github("d", "{}"));
    setting.listener.call();
    setting.await_latest("dead");
    setting.listener.behave(Behaviour::Hang);
    is_replayed(&setting.github("d", "{}"), &first);
    let setting = setting.kill_and_restart(OK);
    setting.await_latest("succeeded");
}
