//! What is wrong, as a table: something seen, and what a person is told.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::checks::findings;
use super::finding::{Finding, Severity};
use super::observed::{Definition, Deliveries, Lease, Observed, Operator, Pod, Readiness};
use crate::admin::deliveries::view::DeliveryView;
use crate::moment::Moment;
use crate::plan::Key;
use crate::resources::{Webhook, WebhookApp};

const ID: &str = "019d5a1c-0c1e-7c40-8f0e-2a9d4b7f1c22";

fn now() -> Moment {
    Moment::parse("2026-11-24T12:00:00Z").unwrap()
}

/// A cluster in which all is well, with an app and a webhook of it.
fn well() -> Observed {
    let definitions = ["webhookapps.lenra.io", "webhooks.lenra.io"];
    Observed {
        now: now(),
        operator: Operator::Cluster {
            namespace: "hooks".into(),
            pods: Some(vec![pod("op-0", true, None), pod("op-1", true, None)]),
            lease: Some(Lease::Held { holder: "op-0".into(), until: now() }),
            definitions: Some(definitions.map(|name| (name.into(), Definition::Same)).into()),
        },
        apps: Some(vec![app(json!([ready("True", "Succeeded", "")]))]),
        webhooks: Some(vec![webhook(json!([ready("True", "Succeeded", "")]))]),
        endpoints: BTreeMap::from([(Key::new("team-a", "shop"), true)]),
        deliveries: Some(Deliveries::default()),
        unseen: Vec::new(),
    }
}

fn pod(name: &str, is_ready: bool, why: Option<&str>) -> Pod {
    Pod { name: name.into(), is_ready, why: why.map(str::to_owned) }
}

fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": type_, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-11-24T11:55:00Z"})
}

fn ready(status: &str, reason: &str, message: &str) -> Value {
    condition("Ready", status, reason, message)
}

fn app(conditions: Value) -> WebhookApp {
    serde_json::from_value(json!({
        "apiVersion": "lenra.io/v1alpha1", "kind": "WebhookApp",
        "metadata": {"name": "shop", "namespace": "team-a", "generation": 2},
        "spec": {"listener": {"service": {"name": "shop", "port": 80}}},
        "status": {"observedGeneration": 2, "conditions": conditions},
    }))
    .unwrap()
}

fn webhook(conditions: Value) -> Webhook {
    serde_json::from_value(json!({
        "apiVersion": "lenra.io/v1alpha1", "kind": "Webhook",
        "metadata": {"name": "pay", "namespace": "team-a", "generation": 2,
            "creationTimestamp": "2026-11-24T11:50:00Z"},
        "spec": {"app": "shop", "action": "paid"},
        "status": {"observedGeneration": 2, "conditions": conditions},
    }))
    .unwrap()
}

fn delivery(state: &str, generation: u32, attempts: u32) -> DeliveryView {
    serde_json::from_value(json!({
        "id": ID, "eventId": ID, "generation": generation, "namespace": "team-a", "app": "shop",
        "webhook": "pay", "action": "paid", "state": state, "waiting": false,
        "reason": (state == "dead").then_some("Rejected"), "attemptCount": attempts,
        "lastStatus": (attempts > 0).then_some(503), "createdAt": "2026-11-24T11:58:00Z",
        "dueAt": null, "finishedAt": null,
    }))
    .unwrap()
}

/// What is told of the well cluster after a change.
fn after(change: impl FnOnce(&mut Observed)) -> Vec<Finding> {
    let mut observed = well();
    change(&mut observed);
    findings(&observed)
}

/// The one thing that is told, as a paragraph.
#[track_caller]
fn told(change: impl FnOnce(&mut Observed)) -> String {
    let found = after(change);
    let [finding] = &found[..] else { panic!("{found:#?}") };
    finding.to_text(now())
}

fn with_operator(
    change: impl FnOnce(
        &mut Option<Vec<Pod>>,
        &mut Option<Lease>,
        &mut Option<Vec<(String, Definition)>>,
    ),
) -> impl FnOnce(&mut Observed) {
    |observed| {
        let Operator::Cluster { pods, lease, definitions, .. } = &mut observed.operator else {
            panic!()
        };
        change(pods, lease, definitions);
    }
}

#[test]
fn where_all_is_well_nothing_is_told() {
    assert_eq!(after(|_| ()), []);
}

#[test]
fn what_the_caller_may_not_see_is_no_problem() {
    let blind = with_operator(|pods, lease, definitions| {
        (*pods, *lease, *definitions) = (None, None, None);
    });
    assert_eq!(after(blind), []);
    assert_eq!(after(|observed| observed.deliveries = None), []);
}

#[test]
fn a_webhook_that_is_not_ready_is_told_with_its_reason_and_what_to_do() {
    let message = "Secret gh (spec.verify[0].secretRefs[0]) does not exist";
    assert_eq!(
        told(|observed| {
            observed.webhooks =
                Some(vec![webhook(json!([ready("False", "SecretNotFound", message)]))]);
        }),
        "Webhook team-a/pay is not Ready (SecretNotFound), for 5m.
  Secret gh (spec.verify[0].secretRefs[0]) does not exist.
  Create the Secret in the same namespace, or reference another one. The operator detects the change.
    kubectl get secrets -n team-a"
    );
}

#[test]
fn advice_on_a_webhook_that_is_ready_is_a_note() {
    let advice = "key secret of Secret gh ends with a line break, which is part of the secret";
    let of = |message: String| {
        after(move |observed| {
            observed.webhooks = Some(vec![webhook(json!([ready("True", "Succeeded", &message)]))]);
        })
    };
    let found = of(format!("Accepting triggers; {advice}"));
    assert_eq!((found.len(), found[0].severity), (1, Severity::Note));
    assert_eq!(
        found[0].to_text(now()),
        format!("Webhook team-a/pay is Ready, but may reject its sender.\n  {advice}.")
    );
    assert_eq!(of("Accepting triggers".into()), []);
    assert_eq!(of("Accepting all".into()), []);
}

#[test]
fn webhooks_that_only_follow_their_app_are_told_with_it() {
    let told = told(|observed| {
        observed.apps = Some(vec![app(json!([ready("False", "PortNotFound", "no port")]))]);
        observed.webhooks = Some(vec![webhook(json!([ready("False", "AppNotReady", "")]))]);
    });
    let first =
        "WebhookApp team-a/shop is not Ready (PortNotFound), and with it its webhook, for 5m.";
    assert_eq!(told.lines().next(), Some(first));
}

#[test]
fn a_suspended_webhook_is_worth_a_note_and_no_problem() {
    let found = after(|observed| {
        observed.webhooks = Some(vec![webhook(json!([ready("True", "Suspended", "")]))]);
    });
    assert_eq!((found.len(), found[0].severity), (1, Severity::Note));
}

#[test]
fn what_no_operator_has_seen_is_a_problem_once_it_is_not_new() {
    let unseen = |generation: Option<i64>, made: &str| {
        let made = made.to_owned();
        after(move |observed| {
            let mut webhook = webhook(json!([]));
            webhook.status.as_mut().unwrap().observed_generation = generation;
            let made = serde_json::from_value(json!(made)).unwrap();
            webhook.metadata.creation_timestamp = Some(made);
            observed.webhooks = Some(vec![webhook]);
        })
    };
    let what = |found: Vec<Finding>| found.first().map(|finding| finding.what.clone());
    let old = "2026-11-24T11:00:00Z";
    assert_eq!(what(unseen(None, old)).as_deref(), Some("was never observed by an operator"));
    let changed = "has a change that no operator has observed";
    assert_eq!(what(unseen(Some(1), old)).as_deref(), Some(changed));
    assert_eq!(what(unseen(None, "2026-11-24T11:59:50Z")), None);
}

#[test]
fn a_listener_that_does_not_answer_is_told_with_what_waits_for_it() {
    let told = told(|observed| {
        let down = condition("ListenerReachable", "False", "NotAnswering", "failing since noon");
        observed.apps = Some(vec![app(json!([ready("True", "Succeeded", ""), down]))]);
    });
    assert!(
        told.starts_with(
            "The listener of WebhookApp team-a/shop does not answer, for 5m.\n  failing since noon."
        ),
        "{told}"
    );
    assert!(
        told.contains("kubectl get endpointslices -n team-a -l kubernetes.io/service-name=shop")
    );
}

#[test]
fn a_service_without_a_ready_endpoint_is_told() {
    let told = told(|observed| {
        observed.endpoints.insert(Key::new("team-a", "shop"), false);
    });
    assert!(
        told.starts_with("WebhookApp team-a/shop has no ready endpoint behind its Service shop.")
    );
}

#[test]
fn replicas_that_are_not_ready_are_told_with_why() {
    let told_of = |pods: Vec<Pod>| told(with_operator(|seen, _, _| *seen = Some(pods)));
    let one = told_of(vec![pod("op-0", true, None), pod("op-1", false, Some("CrashLoopBackOff"))]);
    assert!(
        one.starts_with(
            "The operator has 1 of 2 replicas that are not ready.\n  op-1: CrashLoopBackOff."
        ),
        "{one}"
    );
    let all = told_of(vec![pod("op-0", false, None)]);
    assert!(all.contains("No trigger is answered. op-0: its readiness probe fails."), "{all}");
    let none = told_of(Vec::new());
    assert!(none.starts_with("The operator has no pod in the namespace hooks."), "{none}");
}

#[test]
fn a_lease_that_nobody_holds_is_told_and_a_clock_may_be_a_little_off() {
    let held = |seconds: u64| {
        let until = Moment(now().0 - seconds * 1000);
        with_operator(move |_, lease, _| {
            *lease = Some(Lease::Held { holder: "op-0".into(), until });
        })
    };
    assert_eq!(after(held(20)), []);
    let told_of = told(held(90));
    assert!(told_of.contains("op-0 held it until it expired 90s ago."), "{told_of}");
    for lease in [Lease::Free, Lease::Missing] {
        let told = told(with_operator(|_, seen, _| *seen = Some(lease)));
        assert!(told.starts_with("No replica holds the lease, so statuses are not written."));
    }
}

#[test]
fn a_definition_that_is_missing_is_a_problem_and_one_of_another_version_a_note() {
    let told_of = |definition| {
        let found = after(with_operator(|_, _, seen| {
            seen.as_mut().unwrap()[1].1 = definition;
        }));
        (found.len(), found[0].severity, found[0].commands.len())
    };
    assert_eq!(told_of(Definition::Missing), (1, Severity::Problem, 1));
    assert_eq!(told_of(Definition::Other), (1, Severity::Note, 1));
    // Who may not read definitions sees that the kind is unknown.
    let found = after(|observed| {
        with_operator(|_, _, definitions| *definitions = None)(observed);
        observed.webhooks = None;
    });
    assert!(found[0].what.contains("webhooks.lenra.io"));
}

#[test]
fn dead_deliveries_are_told_with_how_to_replay_them_unless_they_were() {
    let dead = |succeeded: Vec<DeliveryView>| {
        after(move |observed| {
            let dead = vec![delivery("dead", 1, 3)];
            observed.deliveries = Some(Deliveries { dead, succeeded, ..Deliveries::default() });
        })
    };
    let found = dead(Vec::new());
    assert_eq!(found[0].what, "has 1 dead delivery of the last 24 h");
    assert_eq!(found[0].why, "The last one: Rejected, after 3 attempts, last status 503");
    let replay =
        "webhook-operator deliveries replay -n team-a --webhook pay --state dead --since 24h";
    assert_eq!(found[0].commands[1], replay);
    assert_eq!(dead(vec![delivery("succeeded", 2, 1)]), []);
}

#[test]
fn what_waits_is_told_once_an_attempt_failed_or_it_is_late() {
    let pending = |attempts, age: u64| {
        after(move |observed| {
            let mut waits = delivery("pending", 1, attempts);
            waits.created_at = Moment(now().0 - age * 1000);
            let pending = vec![waits];
            observed.deliveries = Some(Deliveries { pending, ..Deliveries::default() });
        })
    };
    assert_eq!(pending(0, 60), []);
    assert_eq!(pending(0, 301).len(), 1);
    let found = pending(2, 60);
    assert_eq!(found[0].what, "has 1 undelivered event");
    assert_eq!(found[0].why, "The oldest had 2 attempts, last status 503");
}

#[test]
fn undelivered_events_of_a_deleted_app_are_named_with_the_app_that_they_wait_for() {
    let found = after(|observed| {
        let mut waits = delivery("pending", 1, 2);
        waits.app = "gone".into();
        let pending = vec![waits];
        observed.deliveries = Some(Deliveries { pending, ..Deliveries::default() });
    });
    let [found] = &found[..] else { panic!("{found:?}") };
    assert_eq!(found.subject, "WebhookApp team-a/gone");
    assert_eq!(found.what, "was deleted, and 1 undelivered event waits for it");
}

#[test]
fn a_standalone_operator_that_is_not_there_is_told_and_gets_no_kubectl() {
    let standalone = |ready| {
        told(|observed| {
            let server = "http://127.0.0.1:9090".into();
            observed.operator = Operator::Standalone { server, ready };
        })
    };
    let gone = standalone(Err("Connection refused".into()));
    assert!(
        gone.starts_with(
            "The operator does not answer at http://127.0.0.1:9090.\n  Connection refused."
        ),
        "{gone}"
    );
    let stopping = standalone(Ok(Readiness { is_ready: false, said: "stopping".into() }));
    assert!(stopping.starts_with("The operator is not ready.\n  stopping."));
    let found = after(|observed| {
        let ready = Ok(Readiness { is_ready: true, said: "ok".into() });
        observed.operator = Operator::Standalone { server: String::new(), ready };
        observed.webhooks = Some(vec![webhook(json!([ready_false()]))]);
    });
    assert_eq!((found.len(), found[0].commands.len()), (1, 0));
}

fn ready_false() -> Value {
    ready("False", "SecretNotFound", "no Secret")
}
