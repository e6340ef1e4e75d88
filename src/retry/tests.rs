use std::collections::BTreeSet;

use http::HeaderValue;
use proptest::prelude::*;
use strum::VariantArray as _;

use super::*;
use crate::doc_tables::{code_spans, first_column};
use crate::moment::Moment;

/// 2026-11-24T16:00:00Z.
const NOW: Moment = Moment(1_795_536_000_000);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn answered(status: u16) -> Outcome {
    Outcome::Answered { status, retry_after: None }
}

fn asked_for(status: u16, wait: u64) -> Outcome {
    Outcome::Answered { status, retry_after: Some(seconds(wait)) }
}

/// The step after attempt `number`, which began together with the delivery; without jitter.
fn after(policy: &Policy, outcome: Outcome, number: u32) -> Next {
    decide(policy, outcome, number, NOW, NOW, 0.0)
}

fn exponential(initial: u64, multiplier: f64, max: u64) -> Policy {
    let (initial, max) = (seconds(initial), seconds(max));
    let backoff = Backoff::Exponential { initial, multiplier, max };
    Policy { backoff, max_attempts: u32::MAX, ..Policy::default() }
}

#[test]
fn what_a_status_says_about_the_event_decides_whether_it_is_sent_again() {
    let again = Next::Retry(NOW + seconds(5));
    let rejected = Next::Dead(DeadReason::Rejected);
    for (statuses, next) in [
        (&[200, 201, 202, 204, 299][..], Next::Succeeded),
        (&[408, 409, 425, 429], again),
        (&[500, 502, 503, 504, 507, 599], again),
        (&[301, 302, 303, 307, 308, 304], rejected),
        (&[400, 401, 403, 404, 405, 410, 413, 415, 422, 451, 499], rejected),
        (&[0, 100, 101, 199, 600, 999], rejected),
    ] {
        for status in statuses {
            assert_eq!(after(&Policy::default(), answered(*status), 1), next, "{status}");
        }
    }
    assert_eq!(after(&Policy::default(), Outcome::Failed, 1), again);
}

#[test]
fn without_anything_said_the_waits_are_those_of_standard_webhooks() {
    let waits = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];
    for (number, wait) in (1..).zip(waits) {
        let next = after(&Policy::default(), Outcome::Failed, number);
        assert_eq!(next, Next::Retry(NOW + seconds(wait)), "{number}");
    }
    let last = after(&Policy::default(), Outcome::Failed, 8);
    assert_eq!(last, Next::Dead(DeadReason::AttemptsUsedUp));
}

#[test]
fn the_last_wait_of_a_schedule_is_used_again() {
    let policy = Policy { max_attempts: 100, ..Policy::default() };
    for number in [7, 8, 99] {
        let next = after(&policy, Outcome::Failed, number);
        assert_eq!(next, Next::Retry(NOW + seconds(36_000)), "{number}");
    }
}

#[test]
fn exponential_waits_grow_by_their_factor_up_to_the_longest() {
    let policy = exponential(5, 2.0, 60);
    for (number, wait) in [(1, 5), (2, 10), (3, 20), (4, 40), (5, 60), (6, 60), (u32::MAX - 1, 60)]
    {
        let next = after(&policy, Outcome::Failed, number);
        assert_eq!(next, Next::Retry(NOW + seconds(wait)), "{number}");
    }
}

#[test]
fn the_last_attempt_that_fails_is_the_end_and_one_that_succeeds_is_not_counted() {
    let policy = Policy { max_attempts: 2, ..Policy::default() };
    let end = Next::Dead(DeadReason::AttemptsUsedUp);
    for (outcome, number, next) in [
        (Outcome::Failed, 1, Next::Retry(NOW + seconds(5))),
        (Outcome::Failed, 2, end),
        (Outcome::Failed, 3, end),
        (asked_for(503, 10), 2, end),
        (answered(200), 2, Next::Succeeded),
        (answered(200), 3, Next::Succeeded),
        (answered(410), 2, Next::Dead(DeadReason::Rejected)),
    ] {
        assert_eq!(after(&policy, outcome, number), next, "{outcome:?} {number}");
    }
}

#[test]
fn an_attempt_that_would_come_after_the_greatest_age_is_not_waited_for() {
    let policy = Policy { max_age: Some(seconds(60)), ..Policy::default() };
    let of = |age: u64, outcome| decide(&policy, outcome, 1, NOW - seconds(age), NOW, 0.0);
    let (again, too_old) = (Next::Retry(NOW + seconds(5)), Next::Dead(DeadReason::TooOld));
    assert_eq!(of(0, Outcome::Failed), again);
    assert_eq!(of(55, Outcome::Failed), again);
    assert_eq!(of(56, Outcome::Failed), too_old);
    assert_eq!(of(3_600, Outcome::Failed), too_old);
    assert_eq!(of(0, asked_for(503, 61)), too_old);
    assert_eq!(of(3_600, answered(200)), Next::Succeeded);
    assert_eq!(of(3_600, answered(400)), Next::Dead(DeadReason::Rejected));
}

#[test]
fn a_failed_transform_is_retried_like_a_failed_call_and_ends_with_its_own_reason() {
    let policy = Policy { max_attempts: 2, max_age: Some(seconds(60)), ..Policy::default() };
    let end = Next::Dead(DeadReason::TransformFailed);
    assert_eq!(after(&policy, Outcome::TransformFailed, 1), Next::Retry(NOW + seconds(5)));
    assert_eq!(after(&policy, Outcome::TransformFailed, 2), end);
    assert_eq!(decide(&policy, Outcome::TransformFailed, 1, NOW - seconds(56), NOW, 0.0), end);
    assert!(!is_listener_failing(Outcome::TransformFailed), "the listener was not called");
}

#[test]
fn what_a_listener_asks_for_makes_a_wait_longer_but_not_shorter() {
    let policy = Policy { max_attempts: 100, ..Policy::default() };
    for (number, asked, wait) in [
        (1, 0, 5),
        (1, 4, 5),
        (1, 6, 6),
        (1, 3_600, 3_600),
        (2, 120, 300),
        (1, 86_400, 86_400),
        (1, 86_401, 86_400),
        (1, u64::MAX, 86_400),
    ] {
        for status in [429, 503, 500, 409] {
            let next = after(&policy, asked_for(status, asked), number);
            assert_eq!(next, Next::Retry(NOW + seconds(wait)), "{number} {asked}");
        }
    }
    assert_eq!(after(&policy, asked_for(410, 5), 1), Next::Dead(DeadReason::Rejected));
}

#[test]
fn jitter_is_a_part_of_the_wait_in_both_directions() {
    let wait = |chance| Policy::default().wait(2, chance);
    assert_eq!(wait(-1.0), seconds(240));
    assert_eq!(wait(-0.5), seconds(270));
    assert_eq!(wait(0.0), seconds(300));
    assert_eq!(wait(1.0), seconds(360));
    assert_eq!(wait(f64::INFINITY), seconds(360));
    assert_eq!(wait(f64::NAN), seconds(300));
    let none = Policy { jitter: 0.0, ..Policy::default() };
    assert_eq!(none.wait(2, 1.0), seconds(300));
}

#[test]
fn failures_of_the_listener_are_distinguished_from_rejections_of_an_event() {
    for failing in [429, 500, 502, 503, 504, 599] {
        assert!(is_listener_failing(answered(failing)), "{failing}");
    }
    assert!(is_listener_failing(Outcome::Failed));
    for up in [200, 204, 301, 400, 404, 408, 409, 410, 422, 425] {
        assert!(!is_listener_failing(answered(up)), "{up}");
    }
}

#[test]
fn a_retry_after_is_read_in_each_of_its_forms() {
    for (text, wait) in [
        ("0", Some(0)),
        ("120", Some(120)),
        (" 120\t", Some(120)),
        ("0120", Some(120)),
        ("86401", Some(86_400)),
        ("99999999999999999999999999", Some(86_400)),
        ("Tue, 24 Nov 2026 16:00:30 GMT", Some(30)),
        ("Tuesday, 24-Nov-26 16:00:30 GMT", Some(30)),
        ("Tue Nov 24 16:00:30 2026", Some(30)),
        ("Tue, 24 Nov 2026 15:59:59 GMT", Some(0)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", Some(86_400)),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("1 2", None),
        ("10s", None),
        ("soon", None),
        ("Tue, 24 Nov 2026 16:00:30 CET", None),
        ("2026-11-24T16:00:30Z", None),
    ] {
        let value = HeaderValue::from_str(text).unwrap();
        assert_eq!(retry_after(&value, NOW), wait.map(seconds), "{text:?}");
    }
    assert_eq!(retry_after(&HeaderValue::from_bytes(b"\xff").unwrap(), NOW), None);
}

fn wait() -> impl Strategy<Value = Duration> {
    prop_oneof![
        4 => (0..100_000_000_u64).prop_map(Duration::from_millis),
        1 => Just(Duration::MAX),
    ]
}

fn backoff() -> impl Strategy<Value = Backoff> {
    let number = prop_oneof![4 => 0.0..20.0, 1 => any::<f64>()];
    prop_oneof![
        proptest::collection::vec(wait(), 1..5).prop_map(|waits| Backoff::Schedule(waits.into())),
        (wait(), number, wait()).prop_map(|(initial, multiplier, max)| Backoff::Exponential {
            initial,
            multiplier,
            max
        }),
    ]
}

prop_compose! {
    fn policy()(
        backoff in backoff(),
        jitter in prop_oneof![4 => 0.0..=1.0, 1 => any::<f64>()],
        max_attempts in prop_oneof![1..10_u32, any::<u32>()],
        max_age in proptest::option::of(wait()),
    ) -> Policy {
        Policy { backoff, jitter, max_attempts, max_age }
    }
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let answered = (any::<u16>(), proptest::option::of(wait()))
        .prop_map(|(status, retry_after)| Outcome::Answered { status, retry_after });
    let ours = (200..600_u16, Just(None))
        .prop_map(|(status, retry_after)| Outcome::Answered { status, retry_after });
    prop_oneof![answered, ours, Just(Outcome::Failed)]
}

fn moment() -> impl Strategy<Value = Moment> {
    prop_oneof![
        (NOW.0..NOW.0 + 100_000_000).prop_map(Moment),
        any::<u64>().prop_map(|ms| Moment(ms.min(Moment::NEVER.0))),
    ]
}

proptest! {
    #[test]
    fn a_retry_comes_after_the_wait_within_the_age_and_the_number(
        policy in policy(), outcome in outcome(), number in prop_oneof![1..12_u32, any::<u32>()],
        begun in moment(), now in moment(), chance in any::<f64>(),
    ) {
        match decide(&policy, outcome, number, begun, now, chance) {
            Next::Retry(due) => {
                prop_assert!(number < policy.max_attempts);
                prop_assert!(due >= now + policy.wait(number, -1.0));
                prop_assert!(due <= now + policy.wait(number, 1.0).max(LONGEST_RETRY_AFTER));
                prop_assert!(policy.max_age.is_none_or(|age| due <= begun + age));
            }
            Next::Dead(DeadReason::TooOld) => prop_assert!(policy.max_age.is_some()),
            Next::Dead(DeadReason::AttemptsUsedUp) => prop_assert!(number >= policy.max_attempts),
            Next::Dead(DeadReason::Rejected) | Next::Succeeded => {
                prop_assert!(!is_listener_failing(outcome));
            }
            Next::Dead(
                DeadReason::AppDeleted | DeadReason::Unreadable | DeadReason::TransformFailed,
            ) => {
                prop_assert!(false, "no attempt leads to this");
            }
        }
    }

    #[test]
    fn waits_ascend_with_the_chance_and_exponential_ones_with_the_number(
        policy in policy(), number in prop_oneof![1..12_u32, any::<u32>()],
        low in any::<f64>(), high in any::<f64>(),
    ) {
        let (low, high) = if low <= high { (low, high) } else { (high, low) };
        if !low.is_nan() && !high.is_nan() {
            prop_assert!(policy.wait(number, low) <= policy.wait(number, high));
        }
        if let Backoff::Exponential { max, .. } = policy.backoff {
            let next = policy.wait(number.saturating_add(1), 0.0);
            prop_assert!(policy.wait(number, 0.0) <= next);
            prop_assert!(next <= multiply(max, 1.0));
        }
    }

    #[test]
    fn any_header_is_read_without_a_fault_and_within_its_bound(
        bytes in proptest::collection::vec(any::<u8>(), 0..40), now in moment(),
    ) {
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            let wait = retry_after(&value, now);
            prop_assert!(wait.is_none_or(|wait| wait <= LONGEST_RETRY_AFTER));
        }
    }
}

#[test]
fn the_docs_list_the_reasons_of_dead_deliveries_and_no_others() {
    let column = |page, header| first_column(page, header).into_iter().collect::<BTreeSet<_>>();
    let names: BTreeSet<_> = DeadReason::VARIANTS.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(column(include_str!("../../docs/delivery.md"), "| dead, reason | |"), names);

    let labels: BTreeSet<_> = DeadReason::VARIANTS.iter().map(|reason| reason.label()).collect();
    let metrics = include_str!("../../docs/metrics.md");
    let row = metrics.lines().find(|line| line.contains("`dead_letters_total`")).unwrap();
    let (_, listed) = row.split_once("dead deliveries:").unwrap();
    assert_eq!(code_spans(listed).into_iter().collect::<BTreeSet<_>>(), labels);

    let listed = column(include_str!("../../docs/runbook.md"), "| `reason` | |");
    // The alert leaves out deleted apps.
    let expected = labels.into_iter().filter(|label| *label != DeadReason::AppDeleted.label());
    assert_eq!(listed, expected.collect());
}
