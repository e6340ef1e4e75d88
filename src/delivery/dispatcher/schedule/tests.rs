//! The schedule against a simple simulation of the store and the listeners.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const START: Moment = Moment(1_000_000);
const READY: AppReadiness = AppReadiness::Ready { concurrency: 4 };

fn app(number: u128) -> AppId {
    AppId::new("team", uuid::Uuid::from_u128(number))
}

fn ready(_: AppId) -> AppReadiness {
    READY
}

fn take(app: AppId, limit: usize) -> Option<StoreRequest> {
    Some(StoreRequest::Take { app, limit })
}

fn failing() -> AttemptResult {
    AttemptResult::ListenerFailed("it broke".into())
}

/// A schedule in which one app has deliveries that are due.
fn flooded(number: u128) -> Schedule {
    let mut schedule = Schedule::new(Limits::default());
    schedule.mark_due(app(number), START, START);
    schedule
}

/// Completes attempts of an app, which the listener answers.
fn answer(schedule: &mut Schedule, app: AppId, count: usize) {
    (0..count).for_each(|_| drop(schedule.finish_attempt(app, &AttemptResult::Answered, START)));
}

fn is_open(schedule: &Schedule, app: AppId) -> bool {
    schedule.queues.get(&app).is_some_and(AppQueue::is_open)
}

#[test]
fn attempts_of_an_app_start_up_to_its_concurrency_and_again_when_one_has_ended() {
    let mut schedule = flooded(1);
    assert_eq!(schedule.next_request(START, ready), take(app(1), 4));
    assert_eq!(schedule.next_request(START, ready), None, "a request is pending");
    schedule.finish_take(app(1), 4, 4, Some(START), START);
    assert_eq!(schedule.next_request(START, ready), None);
    schedule.finish_attempt(app(1), &AttemptResult::Answered, START);
    assert_eq!(schedule.next_request(START, ready), take(app(1), 1));
}

#[test]
fn apps_take_turns() {
    let mut schedule = Schedule::new(Limits { batch: 2, ..Limits::default() });
    (1..=3).for_each(|number| schedule.mark_due(app(number), START, START));
    let mut turns = Vec::new();
    for _ in 0..6 {
        let Some(StoreRequest::Take { app, limit }) = schedule.next_request(START, ready) else {
            panic!()
        };
        turns.push(app.uuid.as_u128());
        schedule.finish_take(app, limit, limit, Some(START), START);
        (0..limit)
            .for_each(|_| drop(schedule.finish_attempt(app, &AttemptResult::Answered, START)));
    }
    assert_eq!(turns, [1, 2, 3, 1, 2, 3]);
}

#[test]
fn attempts_and_pending_requests_stay_within_their_limits() {
    let mut schedule =
        Schedule::new(Limits { attempts: 6, takes: 2, batch: 4, ..Limits::default() });
    (1..=4).for_each(|number| schedule.mark_due(app(number), START, START));
    assert_eq!(schedule.next_request(START, ready), take(app(1), 4));
    assert_eq!(schedule.next_request(START, ready), take(app(2), 2));
    assert_eq!(schedule.next_request(START, ready), None);
    schedule.finish_take(app(1), 4, 1, None, START);
    assert_eq!(schedule.next_request(START, ready), take(app(3), 3));
    assert_eq!(schedule.next_request(START, ready), None);
    schedule.fail_take(app(2), 2, START, START);
    assert_eq!(schedule.next_request(START, ready), take(app(4), 2));
}

#[test]
fn a_delivery_is_taken_when_it_is_due() {
    let mut schedule = Schedule::new(Limits::default());
    let later = START + Duration::from_secs(5);
    schedule.mark_due(app(1), later, START);
    assert_eq!((schedule.next_request(START, ready), schedule.next_wake()), (None, Some(later)));
    schedule.mark_due(app(1), later + Duration::from_secs(5), START);
    assert_eq!(schedule.next_wake(), Some(later));
    assert_eq!(schedule.next_request(later, ready), take(app(1), 4));
    assert_eq!(schedule.next_wake(), None);
}

#[test]
fn a_delivery_that_becomes_due_while_a_request_is_pending_is_not_forgotten() {
    let mut schedule = flooded(1);
    assert_eq!(schedule.next_request(START, ready), take(app(1), 4));
    schedule.mark_due(app(1), START, START);
    schedule.finish_take(app(1), 4, 0, None, START);
    assert_eq!(schedule.next_request(START, ready), take(app(1), 4));
}

#[test]
fn a_failed_request_is_repeated_at_its_retry_time_even_if_more_becomes_due_before() {
    let mut schedule = flooded(1);
    assert_eq!(schedule.next_request(START, ready), take(app(1), 4));
    let again = START + Duration::from_secs(1);
    schedule.fail_take(app(1), 4, again, START);
    schedule.mark_due(app(1), START, START);
    assert_eq!((schedule.next_request(START, ready), schedule.next_wake()), (None, Some(again)));
    assert_eq!(schedule.next_request(again, ready), take(app(1), 4));
}

#[test]
fn a_failing_listener_is_probed_by_one_attempt_at_a_time() {
    let mut schedule = flooded(1);
    let mut reports = Vec::new();
    for _ in 0..3 {
        assert_eq!(schedule.next_request(START, ready), take(app(1), 4));
        schedule.finish_take(app(1), 4, 4, Some(START), START);
        reports.extend((0..4).filter_map(|_| schedule.finish_attempt(app(1), &failing(), START)));
    }
    assert!(matches!(reports[..], [Reachability::Unreachable { failures: 10, .. }]), "{reports:?}");
    assert_eq!(schedule.next_request(START, ready), None);
    let probe = schedule.next_wake().unwrap();
    assert_eq!(schedule.next_request(probe, ready), take(app(1), 1));
    schedule.finish_take(app(1), 1, 1, Some(START), probe);
    assert_eq!((schedule.next_request(probe, ready), schedule.next_wake()), (None, None));
    let reports = schedule.finish_attempt(app(1), &AttemptResult::Answered, probe);
    assert_eq!(reports, Some(Reachability::Reachable));
    assert_eq!(schedule.next_request(probe, ready), take(app(1), 1));
    schedule.finish_take(app(1), 1, 1, Some(START), probe);
    schedule.finish_attempt(app(1), &AttemptResult::Answered, probe);
    assert_eq!(schedule.next_request(probe, ready), take(app(1), 2));
}

#[test]
fn a_change_of_the_listener_makes_the_probe_due_immediately() {
    let mut schedule = flooded(1);
    for _ in 0..3 {
        assert_eq!(schedule.next_request(START, ready), take(app(1), 4));
        schedule.finish_take(app(1), 4, 4, Some(START), START);
        (0..4).for_each(|_| drop(schedule.finish_attempt(app(1), &failing(), START)));
    }
    assert!(is_open(&schedule, app(1)));
    schedule.probe_now(app(1), START);
    assert_eq!(schedule.next_request(START, ready), take(app(1), 1));
}

#[test]
fn an_app_that_is_not_ready_waits_until_it_changes() {
    let mut schedule = flooded(1);
    assert_eq!(schedule.next_request(START, |_| AppReadiness::NotReady), None);
    assert_eq!(schedule.next_wake(), None);
    schedule.mark_due(app(1), START, START);
    assert_eq!(
        schedule.next_request(START, ready),
        None,
        "new deliveries do not update the readiness"
    );
    schedule.refresh(START, ready);
    assert_eq!(schedule.next_request(START, ready), take(app(1), 4));
}

#[test]
fn the_deliveries_of_a_deleted_app_are_given_up_in_batches_after_the_grace() {
    let gone = |_| AppReadiness::Missing;
    let mut schedule = Schedule::new(Limits::default());
    schedule.mark_due(app(1), Moment::NEVER, START);
    schedule.refresh(START, gone);
    let end = START + APP_DELETION_GRACE;
    assert_eq!((schedule.next_request(START, gone), schedule.next_wake()), (None, Some(end)));
    for count in [256, 9, 0] {
        assert_eq!(schedule.next_request(end, gone), Some(StoreRequest::GiveUp { app: app(1) }));
        schedule.finish_give_up(app(1), count, end);
    }
    assert_eq!((schedule.next_request(end, gone), schedule.next_wake()), (None, None));
    assert!(schedule.queues.is_empty());
}

#[test]
fn an_app_that_is_restored_in_time_loses_nothing() {
    let mut schedule = flooded(1);
    assert_eq!(schedule.next_request(START, |_| AppReadiness::Missing), None);
    let back = START + APP_DELETION_GRACE - Duration::from_secs(1);
    schedule.refresh(back, ready);
    assert_eq!(schedule.next_request(back, ready), take(app(1), 4));
}

/// One event of the simulation.
#[derive(Clone, Debug)]
enum Step {
    /// A delivery of an app arrives, due after so many milliseconds.
    Comes(u128, u64),
    /// Time passes.
    Passes(u64),
    /// The schedule's requests are made.
    Works,
    /// The oldest attempt of an app ends; one that fails is due again after so many milliseconds.
    Ends(u128, Option<u64>),
    /// An app changes.
    Becomes(u128, AppReadiness),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let apps = 0..4_u128;
    let readiness = prop_oneof![
        (1..6_usize).prop_map(|concurrency| AppReadiness::Ready { concurrency }),
        Just(AppReadiness::NotReady)
    ];
    let step = prop_oneof![
        4 => (apps.clone(), 0..3_000_u64).prop_map(|(app, wait)| Step::Comes(app, wait)),
        2 => (0..2_000_u64).prop_map(Step::Passes),
        4 => Just(Step::Works),
        4 => (apps.clone(), prop::option::weighted(0.6, 0..3_000_u64))
            .prop_map(|(app, again)| Step::Ends(app, again)),
        1 => (apps, readiness).prop_map(|(app, readiness)| Step::Becomes(app, readiness)),
    ];
    prop::collection::vec(step, 1..200)
}

const LIMITS: Limits =
    Limits { attempts: 8, takes: 4, batch: 3, app_deletion_grace: APP_DELETION_GRACE };

struct World {
    schedule: Schedule,
    now: Moment,
    apps: BTreeMap<AppId, AppReadiness>,
    due: BTreeMap<AppId, Vec<Moment>>,
    in_flight: BTreeMap<AppId, usize>,
    delivered: usize,
}

impl World {
    fn new() -> Self {
        Self {
            schedule: Schedule::new(LIMITS),
            now: START,
            apps: (0..4).map(|number| (app(number), READY)).collect(),
            due: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            delivered: 0,
        }
    }

    fn comes(&mut self, app: AppId, wait: u64) {
        let due = Moment(self.now.0 + wait);
        self.due.entry(app).or_default().push(due);
        self.schedule.mark_due(app, due, self.now);
    }

    fn works(&mut self) {
        while let Some(request) = self.schedule.next_request(self.now, |app| self.apps[&app]) {
            let StoreRequest::Take { app, limit } = request else { panic!("no app is missing") };
            self.take(app, limit);
        }
        let all: usize = self.in_flight.values().sum();
        assert!(all <= LIMITS.attempts, "{all} attempts");
    }

    fn take(&mut self, app: AppId, limit: usize) {
        let AppReadiness::Ready { concurrency } = self.apps[&app] else {
            panic!("{app:?} is not ready")
        };
        assert!(0 < limit && limit <= LIMITS.batch);
        let due = self.due.entry(app).or_default();
        due.sort();
        let count = due.iter().take(limit).filter(|due| **due <= self.now).count();
        due.drain(..count);
        let in_flight = self.in_flight.entry(app).or_default();
        *in_flight += count;
        assert!(*in_flight <= concurrency, "{in_flight} of {concurrency}");
        assert!(*in_flight <= 1 || !is_open(&self.schedule, app), "probes, with {in_flight}");
        let next = due.first().copied();
        self.schedule.finish_take(app, limit, count, next, self.now);
    }

    fn ends(&mut self, app: AppId, again: Option<u64>) {
        let in_flight = self.in_flight.entry(app).or_default();
        if *in_flight == 0 {
            return;
        }
        *in_flight -= 1;
        let end = if again.is_some() { failing() } else { AttemptResult::Answered };
        match again {
            Some(wait) => self.comes(app, wait),
            None => self.delivered += 1,
        }
        self.schedule.finish_attempt(app, &end, self.now);
    }

    fn becomes(&mut self, app: AppId, readiness: AppReadiness) {
        self.apps.insert(app, readiness);
        self.schedule.refresh(self.now, |app| self.apps[&app]);
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Comes(number, wait) => self.comes(app(number), wait),
            Step::Passes(millis) => self.now.0 += millis,
            Step::Works => self.works(),
            Step::Ends(number, again) => self.ends(app(number), again),
            Step::Becomes(number, readiness) => self.becomes(app(number), readiness),
        }
    }

    /// All apps are ready and all attempts succeed from now on: runs until the schedule is idle.
    fn finish(&mut self) {
        (0..4).for_each(|number| self.becomes(app(number), READY));
        loop {
            self.works();
            let busy: Vec<_> = self.in_flight.iter().filter(|busy| *busy.1 > 0).collect();
            if let Some((&app, _)) = busy.first().copied() {
                self.ends(app, None);
            } else if let Some(wake) = self.schedule.next_wake() {
                assert!(wake > self.now, "the next wake is in the past");
                self.now = wake;
            } else {
                return;
            }
        }
    }
}

proptest! {
    #[test]
    fn no_delivery_is_lost_and_no_limit_is_exceeded(steps in steps()) {
        let mut world = World::new();
        let came = steps.iter().filter(|step| matches!(step, Step::Comes(..))).count();
        steps.iter().for_each(|step| world.step(step));
        world.finish();
        prop_assert_eq!(world.delivered, came);
        prop_assert!(world.due.values().all(Vec::is_empty));
    }

    #[test]
    fn between_two_turns_of_an_app_every_other_app_has_at_most_one(
        apps in 2..20_u128, batch in 1..8_usize, rounds in 1..6_usize
    ) {
        let mut schedule = Schedule::new(Limits { batch, ..Limits::default() });
        (0..apps).for_each(|number| schedule.mark_due(app(number), START, START));
        let mut turns = BTreeMap::<AppId, usize>::new();
        for _ in 0..rounds * apps as usize {
            let request = schedule.next_request(START, ready);
            let Some(StoreRequest::Take { app, limit }) = request else { panic!() };
            *turns.entry(app).or_default() += 1;
            schedule.finish_take(app, limit, limit, Some(START), START);
            answer(&mut schedule, app, limit);
        }
        prop_assert!(turns.values().all(|count| *count == rounds), "{:?}", turns);
    }
}
