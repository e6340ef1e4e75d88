//! Queued webhooks in a running program: what is answered 202 reaches the listener, whatever comes between.

use serde_json::Value;

use crate::support::github;
use crate::support::http::{Response, request};
use crate::support::listener::{Behaviour, Call, Listener};
use crate::support::operator::{Folders, Operator, eventually, queued_manifest};

const OK: Behaviour = Behaviour::Answer("200 OK");
const FAILS: Behaviour = Behaviour::Answer("500 Internal Server Error");

/// Retries at once, as often as it takes.
const SOON: &str = "retry: {schedule: [100ms], maxAttempts: 100, jitter: 0}";

struct Setting {
    folders: Folders,
    operator: Operator,
    listener: Listener,
}

/// A webhook with this in its spec.
fn setting(webhook: &str) -> Setting {
    setting_with(webhook, &[])
}

/// The same, of an operator with these flags.
fn setting_with(webhook: &str, flags: &[&str]) -> Setting {
    let (folders, listener) = (Folders::new(), Listener::start());
    folders.write("shop.yaml", &queued_manifest(&listener.url, "", webhook));
    let operator = Operator::standalone(&folders, flags);
    Setting { folders, operator, listener }
}

/// Queued is what a webhook is that does not say its mode.
fn queued(delivery: &str, rest: &str) -> String {
    format!("  delivery: {{{delivery}}}\n{rest}")
}

impl Setting {
    fn send(&self, headers: &[(&str, &str)], body: &str) -> Response {
        let mut all = vec![("Content-Type", "application/json")];
        all.extend(headers);
        request("POST", &self.operator.url(), &all, body.as_bytes())
    }

    /// Sends an event that is stored, and says its id.
    fn store(&self, body: &str) -> String {
        self.send(&[], body).stored()
    }

    /// What the delivery API says of a delivery.
    fn delivery(&self, id: &str) -> Value {
        let url = format!("{}/api/deliveries/{id}", self.operator.admin);
        let answer = request("GET", &url, &[], b"");
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    fn await_state(&self, id: &str, state: &str) -> Value {
        eventually(&format!("{id} to be {state}"), || {
            let delivery = self.delivery(id);
            (delivery["state"] == state).then_some(delivery)
        })
    }

    /// The same folders and listener, with another process, killed in between.
    fn kill_and_restart(self) -> Self {
        let Self { folders, operator, listener } = self;
        operator.kill();
        let operator = Operator::standalone(&folders, &[]);
        Self { folders, operator, listener }
    }
}

fn id(answer: &Response) -> String {
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("webhook-event-id"), Some(&*id));
    id
}

fn event(call: &Call) -> &str {
    call.header("webhook-event-id").unwrap()
}

#[test]
fn a_webhook_that_says_nothing_of_delivery_is_queued() {
    let setting = setting("");
    let id = setting.store("{}");
    assert_eq!(event(&setting.listener.call()), id);
    setting.await_state(&id, "succeeded");
}

#[test]
fn a_trigger_is_answered_before_the_listener_and_delivered_as_it_was_sent() {
    let setting = setting(&queued("", "  forwardHeaders: [X-Kept]"));
    setting.listener.behave(Behaviour::Hang);
    let answer = setting.send(
        &[("X-Kept", "1"), ("X-Dropped", "2"), ("traceparent", TRACE)],
        r#"{"n": 1.0, "name": "zwölf"}"#,
    );
    let id = answer.stored();
    let call = setting.listener.call();
    assert!(call.text().contains(r#""event":{"n": 1.0, "name": "zwölf"}"#), "{}", call.text());
    assert_eq!((event(&call), call.header("webhook-attempt")), (&*id, Some("1")));
    assert_eq!((call.header("x-kept"), call.header("x-dropped")), (Some("1"), None));
    assert_eq!(call.header("traceparent").unwrap()[..36], TRACE[..36]);
}

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn bodies_of_every_kind_are_delivered_as_in_sync_mode() {
    let setting = setting(&queued("", ""));
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(3 << 20));
    for (content_type, body, event) in [
        ("application/json", "[1, 2]", r#"{"_json":[1, 2]}"#),
        ("application/json", "", "{}"),
        ("application/x-www-form-urlencoded", "a=1&a=2", r#"{"a":["1","2"]}"#),
        ("text/plain", "hi", r#"{"_text":"hi"}"#),
        ("application/json", &large, &large),
    ] {
        let url = setting.operator.url();
        let answer = request("POST", &url, &[("Content-Type", content_type)], body.as_bytes());
        assert_eq!(answer.status, 202, "{}", answer.body);
        let call = setting.listener.call();
        let expected = format!(r#""event":{event},"#);
        assert!(call.text().contains(&expected), "{:.200}", call.text());
    }
}

#[test]
fn an_attempt_that_failed_is_made_again_until_one_succeeds() {
    let setting = setting(&queued(SOON, ""));
    setting.listener.behave(FAILS);
    let id = setting.store("{}");
    for number in ["1", "2", "3"] {
        assert_eq!(setting.listener.call().header("webhook-attempt"), Some(number));
    }
    setting.listener.behave(OK);
    let delivery = setting.await_state(&id, "succeeded");
    assert!(delivery["attempts"].as_array().unwrap().len() >= 4, "{delivery}");
}

#[test]
fn what_the_listener_rejects_is_dead_at_once_and_can_be_replayed() {
    let setting = setting(&queued("", ""));
    setting.listener.behave(Behaviour::Answer("410 Gone"));
    let id = setting.store("{}");
    let dead = setting.await_state(&id, "dead");
    assert_eq!(dead["attempts"].as_array().unwrap().len(), 1, "{dead}");
    setting.listener.call();
    setting.listener.behave(OK);
    let url = format!("{}/api/deliveries/{id}/replay", setting.operator.admin);
    let answer = request("POST", &url, &[("Content-Type", "application/json")], b"{}");
    assert!(answer.status / 100 == 2, "{} {}", answer.status, answer.body);
    let call = setting.listener.call();
    assert_eq!((event(&call), call.header("webhook-attempt")), (&*id, Some("1")));
    assert_eq!(setting.delivery(&id)["state"], "dead", "the replay is another delivery");
}

#[test]
fn what_was_accepted_is_delivered_after_the_process_was_killed() {
    let setting = setting(&queued(SOON, ""));
    setting.listener.behave(FAILS);
    let ids: Vec<String> = (0..5).map(|n| setting.store(&format!(r#"{{"n":{n}}}"#))).collect();
    setting.listener.call();
    let setting = setting.kill_and_restart();
    setting.listener.behave(OK);
    for id in ids {
        setting.await_state(&id, "succeeded");
    }
}

#[test]
fn fifo_keeps_the_order_while_the_first_one_fails_and_across_a_restart() {
    let setting = setting(&queued(&format!("ordering: Fifo, {SOON}"), ""));
    setting.listener.behave(FAILS);
    let ids: Vec<String> = (0..4).map(|n| setting.store(&format!(r#"{{"n":{n}}}"#))).collect();
    for _ in 0..3 {
        assert_eq!(event(&setting.listener.call()), ids[0], "the others wait for the first");
    }
    let setting = setting.kill_and_restart();
    setting.listener.behave(OK);
    for id in &ids {
        setting.await_state(id, "succeeded");
    }
    let calls = std::iter::from_fn(|| setting.listener.try_call());
    let mut order: Vec<String> = calls.map(|call| event(&call).to_owned()).collect();
    order.dedup();
    assert_eq!(order, ids);
}

#[test]
fn the_second_copy_of_an_event_is_answered_with_the_id_of_the_first() {
    let setting = setting(&queued("", "  dedup: {header: X-Delivery, window: 1h}"));
    let first = id(&setting.send(&[("X-Delivery", "a")], "{}"));
    let answer = setting.send(&[("X-Delivery", "a")], r#"{"other": "body"}"#);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, format!(r#"{{"id":"{first}","duplicate":true}}"#));
    assert_eq!(answer.header("webhook-event-id"), Some(&*first));
    let other = id(&setting.send(&[("X-Delivery", "b")], "{}"));
    // Without the header nothing is compared.
    let without = [setting.store("{}"), setting.store("{}")];
    for id in [&first, &other, &without[0], &without[1]] {
        setting.await_state(id, "succeeded");
    }
    assert_eq!(std::iter::from_fn(|| setting.listener.try_call()).count(), 4);
    let setting = setting.kill_and_restart();
    let answer = setting.send(&[("X-Delivery", "a")], "{}");
    assert_eq!((answer.status, &*id(&answer)), (200, &*first), "keys survive the process");
}

#[test]
fn an_expression_may_say_what_makes_two_events_one() {
    let setting = setting(&queued("", "  dedup: {key: 'event.id'}"));
    let first = setting.store(r#"{"id": "x", "n": 1}"#);
    let answer = setting.send(&[], r#"{"id": "x", "n": 2}"#);
    assert_eq!((answer.status, id(&answer)), (200, first));
    for body in [r#"{"id": 7}"#, "{}"] {
        let answer = setting.send(&[], body);
        assert_eq!((answer.status, answer.reason()), (422, "dedup_error".into()), "{body}");
    }
}

#[test]
fn copies_are_looked_for_after_the_signature_is_proven() {
    let folders = Folders::new();
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: gh, namespace: team-a}\nstringData: {secret: right}\n";
    folders.write("secret.yaml", secret);
    let listener = Listener::start();
    // A redelivery of what has succeeded would be delivered.
    listener.behave(Behaviour::Hang);
    let verify = "  verify: [{type: GitHub, secretRefs: [{name: gh, key: secret}]}]";
    folders.write("shop.yaml", &queued_manifest(&listener.url, "", &queued("", verify)));
    let operator = Operator::standalone(&folders, &[]);
    let setting = Setting { folders, operator, listener };
    let url = setting.operator.url();
    // GitHub's own delivery id is looked at by default.
    let post = |secret| {
        let signature = format!("sha256={}", github::hmac_sha256(secret, "{}"));
        let delivery = ("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958");
        request("POST", &url, &[("X-Hub-Signature-256", &signature), delivery], b"{}")
    };
    let first = post("right");
    assert_eq!(first.status, 202, "{}", first.body);
    assert_eq!(post("wrong").status, 401);
    let again = post("right");
    assert_eq!((again.status, id(&again)), (200, id(&first)));
    // Where repetitions are wanted, the same request is another event.
    let verify = format!("{verify}\n  dedup: {{enabled: false}}");
    let manifest = queued_manifest(&setting.listener.url, "", &queued("", &verify));
    setting.folders.write("shop.yaml", &manifest);
    let repeated = eventually("a repetition to be stored", || {
        let answer = post("right");
        (answer.status == 202).then_some(answer)
    });
    assert_ne!(id(&repeated), id(&first));
}

#[test]
fn what_a_deleted_webhook_had_accepted_is_delivered_to_the_end() {
    let setting = setting(&queued(SOON, "  props: {userId: 1}"));
    setting.listener.behave(FAILS);
    let id = setting.store("{}");
    setting.listener.call();
    let url = setting.operator.url();
    let app = queued_manifest(&setting.listener.url, "", "");
    let app = app.split("---").next().unwrap();
    setting.folders.write("shop.yaml", app);
    eventually("the webhook to be gone", || {
        (request("POST", &url, &[], b"{}").status == 404).then_some(())
    });
    setting.listener.behave(OK);
    setting.await_state(&id, "succeeded");
    let last = std::iter::from_fn(|| setting.listener.try_call()).last().unwrap();
    assert!(last.text().contains(r#""action":"#) && last.text().contains(r#"{"userId":1}"#));
}

#[test]
fn an_app_says_that_its_listener_does_not_answer_and_that_it_does_again() {
    let setting = setting(&queued(SOON, ""));
    setting.listener.behave(Behaviour::Reset);
    let ids: Vec<String> = (0..30).map(|_| setting.store("{}")).collect();
    let says = |words: [&'static str; 2]| {
        move |yaml: &str| {
            let Some((before, _)) = yaml.split_once("type: ListenerReachable") else {
                return false;
            };
            let condition = before.rsplit("- lastTransitionTime").next().unwrap();
            words.iter().all(|word| condition.contains(word))
        }
    };
    let down = setting.folders.await_status(
        "webhookapp",
        "team-a/shop",
        says(["status: \"False\"", "reason: NotAnswering"]),
    );
    assert!(down.contains("type: Ready"), "{down}");
    assert_eq!(setting.send(&[], "{}").status, 202, "triggers are taken all the same");
    setting.listener.behave(OK);
    let up = says(["status: \"True\"", "reason: Answered"]);
    setting.folders.await_status("webhookapp", "team-a/shop", up);
    for id in ids {
        setting.await_state(&id, "succeeded");
    }
}

/// Numbers in statuses are refreshed at once.
const AT_ONCE: [&str; 2] = ["--status-interval", "200ms"];

impl Setting {
    /// Waits until the webhook's status has these lines.
    fn await_numbers(&self, lines: &[&str]) -> String {
        self.folders.await_status("webhook", "team-a/payments", |yaml| {
            lines.iter().all(|line| yaml.lines().any(|said| said.trim().starts_with(line)))
        })
    }
}

#[test]
fn what_waits_for_a_deleted_app_is_told_even_if_it_was_not_counted_before() {
    // The first count is at the start, the next one after the app was deleted.
    let setting =
        setting_with(&queued("retry: {schedule: [1h]}", ""), &["--status-interval", "2s"]);
    setting.listener.behave(FAILS);
    setting.store("{}");
    let both = queued_manifest(&setting.listener.url, "", &queued("", ""));
    let (_, webhook) = both.split_once("---\n").unwrap();
    setting.folders.write("shop.yaml", webhook);
    setting.operator.await_log(&["UndeliveredEvents", "1 undelivered event waits for the app"]);
    setting.await_numbers(&["pending: 1", "dead: 0"]);
}

#[test]
fn a_status_says_what_became_of_events_and_the_log_tells_each_news_once() {
    let mut setting = setting_with(&queued("", ""), &AT_ONCE);
    setting.listener.behave(Behaviour::Answer("410 Gone"));
    setting.store("{}");
    let before = setting.await_numbers(&["dead: 1", "succeeded: 0", "pending: 0"]);
    assert!(!before.contains("lastDelivery"), "{before}");
    let died = setting.operator.await_log(&["DeadLetters", "1 delivery died"]);
    assert!(
        died.contains("the last because the listener answered 410 Gone; see kubectl"),
        "{died}"
    );
    setting.listener.behave(OK);
    setting.store("{}");
    setting.await_numbers(&["dead: 1", "succeeded: 1", "lastDelivery: "]);
    setting.operator.await_log(&["FirstDelivery"]);

    setting.operator.terminate();
    setting.operator.wait();
    setting.operator = Operator::standalone(&setting.folders, &AT_ONCE);
    setting.store("{}");
    setting.await_numbers(&["dead: 1", "succeeded: 2"]);
    let told = setting.operator.log();
    assert!(!told.iter().any(|line| line.contains("webhook_operator::events")), "{told:#?}");
}

#[test]
fn of_a_webhook_in_sync_mode_the_status_says_when_its_listener_last_took_an_event() {
    let setting = setting_with(&queued("mode: Sync", ""), &AT_ONCE);
    assert_eq!(setting.send(&[], "{}").status, 200);
    let said = setting.await_numbers(&["lastDelivery: "]);
    assert!(!said.contains("deliveries:"), "{said}");
}
