//! `webhook-operator trigger` over a whole operator.

use serde_json::json;

use super::run::at;
use crate::support::ended::Ended;
use crate::support::listener::{Behaviour, Listener};
use crate::support::operator::{Folders, Operator, SYNC, WEBHOOK, output, queued_manifest};

const SIGNED: &str = "  verify: [{type: GitHub, secretRefs: [{name: gh, key: secret}]}]";

const SECRET: &str = "---
apiVersion: v1
kind: Secret
metadata: {name: gh, namespace: team-a}
stringData: {secret: hush-hush}
";

struct Setting {
    folders: Folders,
    listener: Listener,
    operator: Operator,
}

impl Setting {
    /// The webhook team-a/payments with these further lines of its spec.
    fn new(webhook: &str) -> Self {
        let (folders, listener) = (Folders::new(), Listener::start());
        let manifest = queued_manifest(&listener.url, "", webhook);
        folders.write("shop.yaml", &format!("{manifest}{SECRET}"));
        let operator = Operator::standalone(&folders, &[]);
        folders.await_status("webhook", "team-a/payments", |status| status.contains("Succeeded"));
        Self { folders, listener, operator }
    }

    fn trigger(&self, words: &[&str]) -> Ended {
        let manifests = self.folders.manifests();
        let flags = ["trigger", "payments", "--manifests", manifests.to_str().unwrap()];
        at(&self.operator, &self.folders, &[&flags, words].concat())
    }
}

#[test]
fn a_test_event_is_signed_as_its_provider_signs_and_followed_to_the_listener() {
    let setting = Setting::new(SIGNED);
    let said = setting.trigger(&[]).with(0);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "Sent to team-a/payments, signed for GitHub.");
    assert!(lines[1].starts_with("202: stored as event 0"), "{said}");
    let delivered = "Delivered to the listener of shop, which responded with 200, on attempt 1 in ";
    assert!(lines[2].starts_with(delivered) && lines[2].ends_with(" ms."), "{said}");
    let call = setting.listener.call();
    assert_eq!(call.header("x-github-event"), Some("ping"));
    assert!(call.json()["event"]["zen"].is_string());

    let report = setting.trigger(&["-d", r#"{"a":1}"#, "-o", "json"]).json(0);
    assert_eq!(
        (&report["outcome"], &report["signedAs"], &report["status"], &report["delivery"]["state"]),
        (&json!("Delivered"), &json!("GitHub"), &json!(202), &json!("succeeded"))
    );
    assert_eq!(setting.listener.call().json()["event"], json!({"a": 1}));
    assert!(setting.trigger(&["-o", "yaml"]).with(0).contains("outcome: Delivered"));
    // Who sees what the command says cannot therefore trigger.
    assert!(!said.contains(WEBHOOK) && !report.to_string().contains("hush-hush"));
}

#[test]
fn what_is_not_signed_is_refused_and_that_is_no_success() {
    let setting = Setting::new(SIGNED);
    let said = setting.trigger(&["--unsigned"]).with(1);
    assert!(said.contains("Sent to team-a/payments, unsigned."), "{said}");
    assert!(said.contains("Refused with 401 invalid_signature: "), "{said}");
    let forged = "X-Hub-Signature-256: sha256=00";
    let report = setting.trigger(&["-H", forged, "-o", "json"]).json(1);
    assert_eq!(report["reason"], "invalid_signature");
}

#[test]
fn what_the_listener_does_not_take_is_told_with_its_answer() {
    let setting = Setting::new("");
    setting.listener.behave(Behaviour::Answer("404 Not Found"));
    let said = setting.trigger(&[]).with(1);
    assert!(said.contains("Dead, Rejected: attempt 1 got status 404. Replay it with: "), "{said}");
    setting.listener.behave(Behaviour::Answer("503 Service Unavailable"));
    // The next attempt is due in about 5 s, which is not waited for.
    let said = setting.trigger(&["--timeout", "2s"]).with(1);
    assert!(said.contains("Still pending: attempt 1 got status 503; the next"), "{said}");
    let said = setting.trigger(&["--no-wait"]).with(0);
    assert_eq!(said.lines().count(), 2, "{said}");
}

#[test]
fn an_answer_of_sync_mode_and_of_a_filter_is_the_outcome() {
    let setting = Setting::new(SYNC);
    let said = setting.trigger(&[]).with(0);
    assert!(said.contains("200: the listener accepted it (event "), "{said}");
    setting.listener.behave(Behaviour::Answer("500 Internal Server Error"));
    assert!(setting.trigger(&[]).with(1).contains("Refused with 502 listener_error: "));
    let setting = Setting::new("  filter: event.type == \"paid\"");
    let said = setting.trigger(&[]).with(0);
    assert!(said.contains("excluded by the webhook's filter"), "{said}");
    let report = setting.trigger(&["-d", r#"{"type":"paid"}"#, "-o", "json"]).json(0);
    assert_eq!(report["outcome"], "Delivered");
}

#[test]
fn it_may_be_sent_another_way_and_is_signed_for_the_webhooks_url() {
    let setting = Setting::new(SIGNED);
    let trigger = setting.operator.trigger.clone();
    assert!(setting.trigger(&["--url", &trigger]).with(0).contains("Delivered"));
    let said = setting.trigger(&["--url", &setting.operator.admin]).with(1);
    assert!(said.contains("the response is not from a webhook-operator"), "{said}");
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = setting.trigger(&["--url", &format!("http://{gone}")]).fails("Connection refused");
    assert!(!said.contains(WEBHOOK), "{said}");
}

#[test]
fn what_stands_in_the_way_is_one_sentence() {
    let setting = Setting::new(SIGNED);
    let (operator, folders) = (&setting.operator, &setting.folders);
    let fails = |words: &[&str], saying: &str| drop(at(operator, folders, words).fails(saying));
    let without = "set --manifests to the folder with its Secrets; send it with --unsigned";
    fails(&["trigger", "team-a/payments"], without);
    fails(&["trigger", "nobody"], "Webhook nobody does not exist");
    fails(&["trigger", "team-b/payments"], "Webhook team-b/payments does not exist");
    fails(&["trigger", "payments", "-d", "@/nowhere"], "cannot read /nowhere");
    let nowhere = output(&["trigger", "payments", "--data-dir", "/nowhere"]);
    Ended::from(nowhere).fails("/nowhere (--data-dir) has no data of a standalone operator");
}
