//! `webhook-operator status` over a whole operator.

use super::run::at;
use crate::support::ended::Ended;
use crate::support::http;
use crate::support::listener::{Behaviour, Listener};
use crate::support::operator::{Folders, Operator, WEBHOOK, eventually, output, queued_manifest};

fn setting(webhook: &str) -> (Folders, Listener, Operator) {
    let (folders, listener) = (Folders::new(), Listener::start());
    folders.write("shop.yaml", &queued_manifest(&listener.url, "", webhook));
    let operator = Operator::standalone(&folders, &[]);
    folders.await_status("webhook", "team-a/payments", |status| status.contains("Ready"));
    (folders, listener, operator)
}

#[test]
fn where_all_is_well_it_says_so() {
    let (folders, _listener, operator) = setting("");
    let said = at(&operator, &folders, &["status"]).with(0);
    assert_eq!(said, "All is well: 1 app and 1 webhook; the operator is ready.\n");
    let said = at(&operator, &folders, &["status", "team-a/payments"]).with(0);
    assert!(said.contains("1 webhook in the namespace team-a"), "{said}");
    let report = at(&operator, &folders, &["status", "-o", "json"]).json(0);
    assert_eq!((&report["well"], &report["webhooks"]), (&true.into(), &1.into()));
}

#[test]
fn a_webhook_that_is_stalled_is_told_with_its_reason_and_what_to_do() {
    let (folders, _listener, operator) =
        setting("  verify: [{type: GitHub, secretRefs: [{name: gh, key: secret}]}]");
    let said = at(&operator, &folders, &["status"]).with(1);
    let lines: Vec<&str> = said.lines().collect();
    let first = "Webhook team-a/payments is not Ready (SecretNotFound), for ";
    assert!(lines[0].starts_with(first), "{said}");
    assert!(lines[1].contains("Secret gh (spec.verify[0].secretRefs[0]) does not exist"), "{said}");
    assert!(lines[2].contains("Create the Secret in the same namespace"), "{said}");
    let report = at(&operator, &folders, &["status", "-o", "json"]).json(1);
    assert_eq!(report["findings"][0]["severity"], "Problem");
    assert!(!said.contains(WEBHOOK));
    // A test event of it is refused, and says where to look.
    let said = at(&operator, &folders, &["trigger", "payments", "--unsigned"]).with(1);
    assert!(said.contains("Refused with 503 not_ready: "), "{said}");
    assert!(said.ends_with("\n  webhook-operator status team-a/payments\n"), "{said}");
}

#[test]
fn dead_deliveries_are_told_until_they_are_replayed() {
    let (folders, listener, operator) = setting("");
    listener.behave(Behaviour::Answer("400 Bad Request"));
    http::post(&operator.url(), "{}").stored();
    let status = |words: &[&str]| at(&operator, &folders, &[&["status"], words].concat());
    let said = eventually("a dead delivery", || {
        let said = status(&[]);
        said.stdout.contains("dead").then_some(said)
    });
    let said = said.with(1);
    assert!(said.contains("has 1 dead delivery of the last 24 h."), "{said}");
    assert!(said.contains("The last one: Rejected, after 1 attempt, last status 400."), "{said}");
    // Another webhook is not looked at.
    let nobody = status(&["team-a/other"]).fails("Webhook team-a/other does not exist");
    assert!(!nobody.contains("dead"));

    listener.behave(Behaviour::Answer("200 OK"));
    let command = said.lines().find(|line| line.contains("deliveries replay")).unwrap();
    let mut words: Vec<&str> = command.split_whitespace().skip(1).collect();
    words.extend(["--yes", "--server", &operator.admin]);
    assert_eq!(Ended::from(output(&words)).with(0), "1 replayed\n");
    eventually("that all is well", || (status(&[]).code == Some(0)).then_some(()));
}

#[test]
fn an_operator_that_does_not_run_is_told_beside_what_it_left() {
    let (folders, _listener, operator) = setting("");
    let admin = operator.admin.clone();
    operator.kill();
    let data = folders.data();
    let flags = ["status", "--server", &admin, "--data-dir", data.to_str().unwrap()];
    let said = Ended::from(output(&flags)).with(1);
    assert!(said.starts_with(&format!("The operator does not answer at {admin}.")), "{said}");
    assert!(said.contains("Not checked: cannot read deliveries: "), "{said}");
    let nothing = output(&["status", "--data-dir", "/nowhere"]);
    Ended::from(nothing).fails("/nowhere (--data-dir) has no data of a standalone operator");
}
