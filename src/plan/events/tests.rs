use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use strum::VariantArray;

use super::*;
use crate::doc_tables::first_column;
use crate::moment::Moment;
use crate::resources::DeliveryCounts;
use crate::resources::conditions::Verdict;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn ready() -> Verdict {
    Verdict::Ready { message: "it works".into() }
}

fn stalled(reason: StalledReason) -> Verdict {
    Verdict::stalled(reason, format!("it is {}", reason.as_str()))
}

fn progressing() -> Verdict {
    Verdict::Reconciling { message: "it is looked up".into() }
}

fn webhook(verdict: &Verdict) -> WebhookStatus {
    WebhookStatus { conditions: verdict.conditions(1, [NOW; 3]), ..WebhookStatus::default() }
}

fn counted(dead: i64, last: Option<i64>) -> WebhookStatus {
    WebhookStatus {
        deliveries: Some(DeliveryCounts { dead, ..DeliveryCounts::default() }),
        last_delivery: last.map(|second| Time(Timestamp::from_second(second).unwrap())),
        ..webhook(&ready())
    }
}

fn app(reachable: Option<&str>) -> WebhookAppStatus {
    let mut conditions = ready().conditions(1, [NOW; 3]);
    conditions.extend(reachable.map(|status| Condition {
        type_: LISTENER_REACHABLE.into(),
        status: status.into(),
        reason: "Whatever".into(),
        message: format!("reachable: {status}"),
        observed_generation: Some(1),
        last_transition_time: Time(NOW),
    }));
    WebhookAppStatus { conditions, ..WebhookAppStatus::default() }
}

fn told(before: Option<&WebhookStatus>, after: &WebhookStatus, died: &Died) -> Vec<Event> {
    let before = before.map(Observed::of_webhook).unwrap_or_default();
    of_webhook(&Key::new("team-a", "payments"), &before, after, died)
}

#[test]
fn what_becomes_of_an_object_is_told_when_it_changes_and_only_then() {
    let is_ready = || Some(Event::normal(EventReason::Ready, "it works"));
    let is = |reason: StalledReason| {
        let note = format!("it is {}", reason.as_str());
        Some(Event::warning(EventReason::Stalled(reason), note))
    };
    let suspended = || Some(Event::normal(EventReason::Suspended, Verdict::Suspended.message()));
    for (before, after, event) in [
        (None, ready(), is_ready()),
        (None, progressing(), None),
        (None, stalled(StalledReason::AppNotFound), is(StalledReason::AppNotFound)),
        (Some(progressing()), ready(), is_ready()),
        (Some(ready()), ready(), None),
        (Some(ready()), Verdict::Ready { message: "it works otherwise".into() }, None),
        (Some(ready()), progressing(), None),
        (Some(ready()), Verdict::Suspended, suspended()),
        (Some(Verdict::Suspended), Verdict::Suspended, None),
        (Some(ready()), stalled(StalledReason::SecretNotFound), is(StalledReason::SecretNotFound)),
        (
            Some(stalled(StalledReason::SecretNotFound)),
            stalled(StalledReason::SecretNotFound),
            None,
        ),
        (
            Some(stalled(StalledReason::SecretNotFound)),
            stalled(StalledReason::SecretEmpty),
            is(StalledReason::SecretEmpty),
        ),
        (Some(stalled(StalledReason::SecretEmpty)), ready(), is_ready()),
    ] {
        let before = before.as_ref().map(webhook);
        let events = told(before.as_ref(), &webhook(&after), &Died::default());
        assert_eq!(events, Vec::from_iter(event), "{before:?}, then {after:?}");
    }
}

#[test]
fn a_listener_is_told_of_when_it_ceases_to_answer_and_when_it_answers_again() {
    let down = || Some(Event::warning(EventReason::ListenerUnreachable, "reachable: False"));
    let back = || Some(Event::normal(EventReason::ListenerReachable, "reachable: True"));
    for (before, after, event) in [
        (None, Some("True"), None),
        (None, Some("False"), down()),
        (Some("True"), Some("False"), down()),
        (Some("False"), Some("False"), None),
        (Some("False"), Some("True"), back()),
        (Some("True"), Some("True"), None),
        (Some("False"), None, None),
    ] {
        let events = of_app(&Observed::of_app(&app(before)), &app(after));
        assert_eq!(events, Vec::from_iter(event), "{before:?}, then {after:?}");
    }
    let created = of_app(&Observed::default(), &app(None));
    assert_eq!(created, [Event::normal(EventReason::Ready, "it works")]);
}

#[test]
fn the_first_delivery_is_told_of_once() {
    let first = Event::normal(EventReason::FirstDelivery, "The listener accepted its first event");
    for (before, after, event) in [
        (webhook(&ready()), counted(0, Some(7)), Some(first)),
        (counted(0, Some(7)), counted(0, Some(9)), None),
        (webhook(&ready()), counted(0, None), None),
    ] {
        let events = told(Some(&before), &after, &Died::default());
        assert_eq!(events, Vec::from_iter(event), "{before:?}, then {after:?}");
    }
}

#[test]
fn events_that_wait_for_a_deleted_app_are_told_of_once() {
    let status = |verdict: &Verdict, pending| WebhookStatus {
        deliveries: Some(DeliveryCounts { pending, ..DeliveryCounts::default() }),
        ..webhook(verdict)
    };
    let gone = || stalled(StalledReason::AppNotFound);
    let waits = |what: &str| {
        let note = format!(
            "{what} for the app; they end as dead after --app-deletion-grace unless it is created again in namespace team-a"
        );
        Some(Event::warning(EventReason::UndeliveredEvents, note))
    };
    for (before, after, event) in [
        (status(&ready(), 2), status(&gone(), 2), waits("2 undelivered events wait")),
        (status(&ready(), 0), status(&gone(), 1), waits("1 undelivered event waits")),
        // Counted later than the app was missed.
        (status(&gone(), 0), status(&gone(), 3), waits("3 undelivered events wait")),
        (status(&gone(), 3), status(&gone(), 2), None),
        (status(&ready(), 0), status(&gone(), 0), None),
        (status(&ready(), 0), status(&ready(), 2), None),
        (status(&ready(), 0), status(&stalled(StalledReason::SecretNotFound), 2), None),
    ] {
        let mut events = told(Some(&before), &after, &Died::default());
        events.retain(|event| event.reason == EventReason::UndeliveredEvents);
        assert_eq!(events, Vec::from_iter(event), "{before:?}, then {after:?}");
    }
}

#[test]
fn deliveries_that_died_are_told_of_with_what_is_known_of_them() {
    const SEE: &str =
        "see kubectl webhook deliveries list -n team-a --webhook payments --state dead";
    let nothing = Died::default();
    let because = Died {
        since: Some(Moment(1_795_536_000_123)),
        why: Some("the listener answered 410 Gone".into()),
    };
    for (before, after, died, note) in [
        (0, 1, &nothing, "1 delivery died; "),
        (
            2,
            5,
            &because,
            "3 deliveries died since 2026-11-24T16:00:00.123Z, the last because the listener answered 410 Gone; ",
        ),
    ] {
        let events = told(Some(&counted(before, None)), &counted(after, None), died);
        assert_eq!(events, [Event::warning(EventReason::DeadLetters, format!("{note}{SEE}"))]);
    }
    for (before, after) in [(5, 5), (5, 0)] {
        let events = told(Some(&counted(before, None)), &counted(after, None), &because);
        assert_eq!(events, [], "{before}, then {after}");
    }
}

#[test]
fn every_reason_of_a_stalled_object_is_that_of_its_event() {
    for &reason in StalledReason::VARIANTS {
        let events = of_webhook(
            &Key::new("team-a", "payments"),
            &Observed::default(),
            &webhook(&stalled(reason)),
            &Died::default(),
        );
        let reasons: Vec<_> = events.iter().map(|event| event.reason.as_str()).collect();
        assert_eq!(reasons, [reason.as_str()]);
    }
}

#[test]
fn the_documentation_lists_exactly_the_reasons_of_events() {
    let page = include_str!("../../../docs/status.md");
    let mut listed = first_column(page, "| reason | of | type | when |");
    let mut reasons = EventReason::VARIANTS.to_vec();
    listed.sort_unstable();
    reasons.sort_unstable();
    assert_eq!(listed, reasons);
}
