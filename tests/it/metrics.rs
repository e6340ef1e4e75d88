//! `/metrics` of a running program: what happened is counted, by words that are known, and nothing else
//! is told.

use std::collections::BTreeMap;

use crate::support::http::{post, request};
use crate::support::listener::{Behaviour, Listener};
use crate::support::operator::{Folders, Operator, eventually, manifest, queued_manifest};

/// What is not retried.
const REFUSES: Behaviour = Behaviour::Answer("400 Bad Request");
const FAILS: Behaviour = Behaviour::Answer("500 Internal Server Error");
const SHOP: &str = r#"{namespace="team-a",webhook="payments""#;

fn text(operator: &Operator, accept: &str) -> (String, String) {
    let url = format!("{}/metrics", operator.admin);
    let answer = request("GET", &url, &[("Accept", accept)], b"");
    assert_eq!(answer.status, 200);
    (answer.header("content-type").unwrap().to_owned(), answer.body)
}

/// The samples, by name and labels.
fn samples(operator: &Operator) -> BTreeMap<String, f64> {
    let (_, text) = text(operator, "text/plain");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let samples = lines.map(|line| line.rsplit_once(' ').expect("a sample has a value"));
    samples.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect()
}

fn await_sample(operator: &Operator, name: &str, value: f64) -> BTreeMap<String, f64> {
    eventually(&format!("{name} {value}"), || {
        let samples = samples(operator);
        (samples.get(name) == Some(&value)).then_some(samples)
    })
}

#[test]
fn every_trigger_attempt_and_delivery_is_counted_once_by_its_outcome() {
    let (folders, listener) = (Folders::new(), Listener::start());
    let retry = "  delivery: {retry: {schedule: [100ms], maxAttempts: 2, jitter: 0}}\n";
    folders.write("shop.yaml", &queued_manifest(&listener.url, "", retry));
    let operator = Operator::standalone(&folders, &[]);
    let name = |family: &str, rest: &str| format!("webhook_operator_{family}{SHOP},{rest}}}");
    let app = |family: &str, rest: &str| {
        format!(r#"webhook_operator_{family}{{namespace="team-a",app="shop"{rest}}}"#)
    };

    assert_eq!(post(&operator.url(), "{}").status, 202);
    await_sample(&operator, &name("deliveries_total", r#"outcome="succeeded""#), 1.0);
    listener.behave(REFUSES);
    assert_eq!(post(&operator.url(), "{}").status, 202);
    await_sample(&operator, &name("deliveries_total", r#"outcome="dead""#), 1.0);
    listener.behave(FAILS);
    assert_eq!(post(&operator.url(), "{}").status, 202);
    await_sample(&operator, &name("deliveries_total", r#"outcome="dead""#), 2.0);
    assert_eq!(post(&operator.url(), "{").status, 400);
    let other = format!("{}/apps/x/webhooks/y", operator.trigger);
    assert_eq!(post(&other, "{}").status, 400);
    assert_eq!(post(&format!("{}/robots.txt", operator.trigger), "{}").status, 404);

    let undelivered = app("queue_undelivered", "");
    let samples = eventually("nothing to be undelivered", || {
        let samples = samples(&operator);
        (!samples.contains_key(&undelivered)).then_some(samples)
    });
    let unrouted = r#"webhook_operator_triggers_total{namespace="",webhook="",outcome="#;
    for (sample, value) in [
        (name("triggers_total", r#"outcome="stored""#), 3.0),
        (name("triggers_total", r#"outcome="invalid_json""#), 1.0),
        (format!(r#"{unrouted}"invalid_uuid"}}"#), 1.0),
        (format!(r#"{unrouted}"error_404"}}"#), 1.0),
        (name("dead_letters_total", r#"reason="rejected""#), 1.0),
        (name("dead_letters_total", r#"reason="attempts_used_up""#), 1.0),
        (format!("webhook_operator_queue_dead{SHOP}}}"), 2.0),
        (app("attempts_total", r#",outcome="succeeded""#), 1.0),
        (app("attempts_total", r#",outcome="refused""#), 3.0),
        (app("retries_total", ""), 1.0),
        (app("attempt_duration_seconds_count", ""), 4.0),
        (app("listener_reachable", ""), 1.0),
        (r#"webhook_operator_trigger_duration_seconds_count{code="2xx"}"#.into(), 3.0),
        (r#"webhook_operator_trigger_duration_seconds_count{code="4xx"}"#.into(), 3.0),
        ("webhook_operator_store_serving".into(), 1.0),
    ] {
        assert_eq!(samples.get(&sample), Some(&value), "{sample} in {samples:#?}");
    }
    let commits = samples["webhook_operator_store_commit_duration_seconds_count"];
    assert!(commits >= 5.0, "{commits} commits of three events and four attempts");
}

#[test]
fn a_call_while_the_sender_waits_is_an_attempt_and_a_delivery_too() {
    let (folders, listener) = (Folders::new(), Listener::start());
    folders.write("shop.yaml", &manifest(&listener.url, "", ""));
    let operator = Operator::standalone(&folders, &[]);
    assert_eq!(post(&operator.url(), "{}").status, 200);
    listener.behave(FAILS);
    assert_eq!(post(&operator.url(), "{}").status, 502);
    let samples = samples(&operator);
    for (sample, value) in [
        (format!(r#"triggers_total{SHOP},outcome="delivered"}}"#), 1.0),
        (format!(r#"triggers_total{SHOP},outcome="listener_error"}}"#), 1.0),
        (format!(r#"deliveries_total{SHOP},outcome="succeeded"}}"#), 1.0),
        (r#"attempts_total{namespace="team-a",app="shop",outcome="refused"}"#.into(), 1.0),
        (r#"trigger_duration_seconds_count{code="5xx"}"#.into(), 1.0),
    ] {
        let sample = format!("webhook_operator_{sample}");
        assert_eq!(samples.get(&sample), Some(&value), "{sample} in {samples:#?}");
    }
}

#[test]
fn what_waits_has_an_age() {
    let (folders, listener) = (Folders::new(), Listener::start());
    folders.write("shop.yaml", &queued_manifest(&listener.url, "", ""));
    let operator = Operator::standalone(&folders, &[]);
    listener.behave(Behaviour::Hang);
    assert_eq!(post(&operator.url(), "{}").status, 202);
    let age = r#"webhook_operator_queue_oldest_age_seconds{namespace="team-a",app="shop"}"#;
    eventually("an event to be two seconds old", || {
        samples(&operator).get(age).filter(|age| **age > 2.0).copied()
    });
}

#[test]
fn series_are_by_namespace_alone_or_none_where_that_is_wanted() {
    let (folders, listener) = (Folders::new(), Listener::start());
    folders.write("shop.yaml", &manifest(&listener.url, "", ""));
    let operator = Operator::standalone(&folders, &["--webhook-metrics", "false"]);
    assert_eq!(post(&operator.url(), "{}").status, 200);
    let (_, by_namespace) = text(&operator, "*/*");
    let expected =
        r#"webhook_operator_triggers_total{namespace="team-a",webhook="",outcome="delivered"} 1"#;
    assert!(by_namespace.lines().any(|line| line == expected), "{by_namespace}");
    assert!(!by_namespace.contains("payments") && !by_namespace.contains("shop"));
    operator.kill();
    let operator = Operator::standalone(&folders, &["--metrics", "false"]);
    assert_eq!(post(&operator.url(), "{}").status, 200);
    let (_, none) = text(&operator, "*/*");
    assert!(!none.contains("triggers") && none.contains("webhook_operator_routes 1\n"), "{none}");
}

#[test]
fn both_text_formats_are_served_and_neither_has_a_part_of_a_url() {
    let (folders, listener) = (Folders::new(), Listener::start());
    folders.write("shop.yaml", &queued_manifest(&listener.url, "", ""));
    let operator = Operator::standalone(&folders, &[]);
    assert_eq!(post(&operator.url(), "{}").status, 202);
    listener.call();
    let (kind, open) =
        text(&operator, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
    assert!(
        open.ends_with("# EOF\n") && open.contains("# TYPE webhook_operator_triggers counter\n")
    );
    let (kind, plain) = text(&operator, "text/plain");
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    assert!(plain.contains("# TYPE webhook_operator_triggers_total counter\n"), "{plain}");
    for text in [open, plain] {
        let url = operator.url();
        let (_, uuids) = url.split_once("/apps/").unwrap();
        for uuid in uuids.split("/webhooks/") {
            assert!(!text.contains(uuid), "{text}");
        }
    }
}
