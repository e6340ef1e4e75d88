//! The schedule against a world that is as simple as can be.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const START: Moment = Moment(1_000_000);
const READY: Standing = Standing::Ready { concurrency: 4 };

fn app(number: u128) -> AppId {
    AppId::new("team", uuid::Uuid::from_u128(number))
}

fn ready(_: AppId) -> Standing {
    READY
}

fn take(app: AppId, most: usize) -> Option<Order> {
    Some(Order::Take { app, most })
}

fn failing() -> End {
    End::Failing("it broke".into())
}

/// A schedule that has something of an app, as much as is taken.
fn flooded(number: u128) -> Schedule {
    let mut schedule = Schedule::new(Limits::default());
    schedule.told(app(number), START, START);
    schedule
}

fn is_open(schedule: &Schedule, app: AppId) -> bool {
    schedule.queues.get(&app).is_some_and(Queue::is_open)
}

#[test]
fn an_app_is_taken_from_up_to_its_concurrency_and_again_when_an_attempt_has_ended() {
    let mut schedule = flooded(1);
    assert_eq!(schedule.next(START, ready), take(app(1), 4));
    assert_eq!(schedule.next(START, ready), None, "while one order is without an answer");
    schedule.taken(app(1), 4, 4, Some(START), START);
    assert_eq!(schedule.next(START, ready), None);
    schedule.ended(app(1), &End::Answered, START);
    assert_eq!(schedule.next(START, ready), take(app(1), 1));
}

#[test]
fn apps_take_turns() {
    let mut schedule = Schedule::new(Limits { batch: 2, ..Limits::default() });
    (1..=3).for_each(|number| schedule.told(app(number), START, START));
    let mut turns = Vec::new();
    for _ in 0..6 {
        let Some(Order::Take { app, most }) = schedule.next(START, ready) else { panic!() };
        turns.push(app.uuid.as_u128());
        schedule.taken(app, most, most, Some(START), START);
        (0..most).for_each(|_| drop(schedule.ended(app, &End::Answered, START)));
    }
    assert_eq!(turns, [1, 2, 3, 1, 2, 3]);
}

#[test]
fn there_are_never_more_attempts_and_orders_than_there_may_be() {
    let mut schedule =
        Schedule::new(Limits { attempts: 6, takes: 2, batch: 4, ..Limits::default() });
    (1..=4).for_each(|number| schedule.told(app(number), START, START));
    assert_eq!(schedule.next(START, ready), take(app(1), 4));
    assert_eq!(schedule.next(START, ready), take(app(2), 2));
    assert_eq!(schedule.next(START, ready), None);
    schedule.taken(app(1), 4, 1, None, START);
    assert_eq!(schedule.next(START, ready), take(app(3), 3));
    assert_eq!(schedule.next(START, ready), None);
    schedule.not_taken(app(2), 2, START, START);
    assert_eq!(schedule.next(START, ready), take(app(4), 2));
}

#[test]
fn what_is_due_later_is_taken_later() {
    let mut schedule = Schedule::new(Limits::default());
    let later = START + Duration::from_secs(5);
    schedule.told(app(1), later, START);
    assert_eq!((schedule.next(START, ready), schedule.wakes()), (None, Some(later)));
    schedule.told(app(1), later + Duration::from_secs(5), START);
    assert_eq!(schedule.wakes(), Some(later));
    assert_eq!(schedule.next(later, ready), take(app(1), 4));
    assert_eq!(schedule.wakes(), None);
}

#[test]
fn what_is_told_while_an_order_is_without_an_answer_is_not_forgotten() {
    let mut schedule = flooded(1);
    assert_eq!(schedule.next(START, ready), take(app(1), 4));
    schedule.told(app(1), START, START);
    schedule.taken(app(1), 4, 0, None, START);
    assert_eq!(schedule.next(START, ready), take(app(1), 4));
}

#[test]
fn an_order_that_failed_is_given_again_later_whatever_is_told_meanwhile() {
    let mut schedule = flooded(1);
    assert_eq!(schedule.next(START, ready), take(app(1), 4));
    let again = START + Duration::from_secs(1);
    schedule.not_taken(app(1), 4, again, START);
    schedule.told(app(1), START, START);
    assert_eq!((schedule.next(START, ready), schedule.wakes()), (None, Some(again)));
    assert_eq!(schedule.next(again, ready), take(app(1), 4));
}

#[test]
fn a_listener_that_fails_is_probed_by_one_attempt_at_a_time() {
    let mut schedule = flooded(1);
    let mut told = Vec::new();
    for _ in 0..3 {
        assert_eq!(schedule.next(START, ready), take(app(1), 4));
        schedule.taken(app(1), 4, 4, Some(START), START);
        told.extend((0..4).filter_map(|_| schedule.ended(app(1), &failing(), START)));
    }
    assert!(matches!(told[..], [Reachability::Unreachable { failures: 10, .. }]), "{told:?}");
    assert_eq!(schedule.next(START, ready), None);
    let probe = schedule.wakes().unwrap();
    assert_eq!(schedule.next(probe, ready), take(app(1), 1));
    schedule.taken(app(1), 1, 1, Some(START), probe);
    assert_eq!((schedule.next(probe, ready), schedule.wakes()), (None, None));
    let told = schedule.ended(app(1), &End::Answered, probe);
    assert_eq!(told, Some(Reachability::Reachable));
    assert_eq!(schedule.next(probe, ready), take(app(1), 1));
    schedule.taken(app(1), 1, 1, Some(START), probe);
    schedule.ended(app(1), &End::Answered, probe);
    assert_eq!(schedule.next(probe, ready), take(app(1), 2));
}

#[test]
fn a_change_of_the_listener_makes_the_probe_due_at_once() {
    let mut schedule = flooded(1);
    for _ in 0..3 {
        assert_eq!(schedule.next(START, ready), take(app(1), 4));
        schedule.taken(app(1), 4, 4, Some(START), START);
        (0..4).for_each(|_| drop(schedule.ended(app(1), &failing(), START)));
    }
    assert!(is_open(&schedule, app(1)));
    schedule.probe_now(app(1), START);
    assert_eq!(schedule.next(START, ready), take(app(1), 1));
}

#[test]
fn an_app_that_is_not_ready_waits_until_it_changes() {
    let mut schedule = flooded(1);
    assert_eq!(schedule.next(START, |_| Standing::Held), None);
    assert_eq!(schedule.wakes(), None);
    schedule.told(app(1), START, START);
    assert_eq!(schedule.next(START, ready), None, "it is not looked at for each piece of news");
    schedule.look_again(START, ready);
    assert_eq!(schedule.next(START, ready), take(app(1), 4));
}

#[test]
fn what_an_app_had_is_given_up_in_steps_and_forgotten_after_the_grace() {
    let gone = |_| Standing::Missing;
    let mut schedule = Schedule::new(Limits::default());
    schedule.told(app(1), Moment::NEVER, START);
    schedule.look_again(START, gone);
    let end = START + APP_DELETION_GRACE;
    assert_eq!((schedule.next(START, gone), schedule.wakes()), (None, Some(end)));
    for count in [256, 9, 0] {
        assert_eq!(schedule.next(end, gone), Some(Order::GiveUp { app: app(1) }));
        schedule.given_up(app(1), count, end);
    }
    assert_eq!((schedule.next(end, gone), schedule.wakes()), (None, None));
    assert!(schedule.queues.is_empty());
}

#[test]
fn an_app_that_comes_back_in_time_loses_nothing() {
    let mut schedule = flooded(1);
    assert_eq!(schedule.next(START, |_| Standing::Missing), None);
    let back = START + APP_DELETION_GRACE - Duration::from_secs(1);
    schedule.look_again(back, ready);
    assert_eq!(schedule.next(back, ready), take(app(1), 4));
}

/// One thing that happens in the world.
#[derive(Clone, Debug)]
enum Step {
    /// A delivery of an app comes, due after so many milliseconds.
    Comes(u128, u64),
    /// Time passes.
    Passes(u64),
    /// The schedule's orders are carried out; of each, so many deliveries at most are there to take.
    Works,
    /// The oldest attempt of an app ends; one that fails is due again after so many milliseconds.
    Ends(u128, Option<u64>),
    /// An app changes.
    Becomes(u128, Standing),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let apps = 0..4_u128;
    let standing = prop_oneof![
        (1..6_usize).prop_map(|concurrency| Standing::Ready { concurrency }),
        Just(Standing::Held)
    ];
    let step = prop_oneof![
        4 => (apps.clone(), 0..3_000_u64).prop_map(|(app, wait)| Step::Comes(app, wait)),
        2 => (0..2_000_u64).prop_map(Step::Passes),
        4 => Just(Step::Works),
        4 => (apps.clone(), prop::option::weighted(0.6, 0..3_000_u64))
            .prop_map(|(app, again)| Step::Ends(app, again)),
        1 => (apps, standing).prop_map(|(app, standing)| Step::Becomes(app, standing)),
    ];
    prop::collection::vec(step, 1..200)
}

const LIMITS: Limits =
    Limits { attempts: 8, takes: 4, batch: 3, app_deletion_grace: APP_DELETION_GRACE };

struct World {
    schedule: Schedule,
    now: Moment,
    apps: BTreeMap<AppId, Standing>,
    due: BTreeMap<AppId, Vec<Moment>>,
    under_way: BTreeMap<AppId, usize>,
    delivered: usize,
}

impl World {
    fn new() -> Self {
        Self {
            schedule: Schedule::new(LIMITS),
            now: START,
            apps: (0..4).map(|number| (app(number), READY)).collect(),
            due: BTreeMap::new(),
            under_way: BTreeMap::new(),
            delivered: 0,
        }
    }

    fn comes(&mut self, app: AppId, wait: u64) {
        let due = Moment(self.now.0 + wait);
        self.due.entry(app).or_default().push(due);
        self.schedule.told(app, due, self.now);
    }

    fn works(&mut self) {
        while let Some(order) = self.schedule.next(self.now, |app| self.apps[&app]) {
            let Order::Take { app, most } = order else { panic!("no app is missing") };
            self.take(app, most);
        }
        let all: usize = self.under_way.values().sum();
        assert!(all <= LIMITS.attempts, "{all} attempts");
    }

    fn take(&mut self, app: AppId, most: usize) {
        let Standing::Ready { concurrency } = self.apps[&app] else { panic!("{app:?} is held") };
        assert!(0 < most && most <= LIMITS.batch);
        let due = self.due.entry(app).or_default();
        due.sort();
        let count = due.iter().take(most).filter(|due| **due <= self.now).count();
        due.drain(..count);
        let under_way = self.under_way.entry(app).or_default();
        *under_way += count;
        assert!(*under_way <= concurrency, "{under_way} of {concurrency}");
        assert!(*under_way <= 1 || !is_open(&self.schedule, app), "probes, with {under_way}");
        let next = due.first().copied();
        self.schedule.taken(app, most, count, next, self.now);
    }

    fn ends(&mut self, app: AppId, again: Option<u64>) {
        let under_way = self.under_way.entry(app).or_default();
        if *under_way == 0 {
            return;
        }
        *under_way -= 1;
        let end = if again.is_some() { failing() } else { End::Answered };
        match again {
            Some(wait) => self.comes(app, wait),
            None => self.delivered += 1,
        }
        self.schedule.ended(app, &end, self.now);
    }

    fn becomes(&mut self, app: AppId, standing: Standing) {
        self.apps.insert(app, standing);
        self.schedule.look_again(self.now, |app| self.apps[&app]);
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Comes(number, wait) => self.comes(app(number), wait),
            Step::Passes(millis) => self.now.0 += millis,
            Step::Works => self.works(),
            Step::Ends(number, again) => self.ends(app(number), again),
            Step::Becomes(number, standing) => self.becomes(app(number), standing),
        }
    }

    /// Everything is well from here on: goes on until there is nothing left to wait for.
    fn finish(&mut self) {
        (0..4).for_each(|number| self.becomes(app(number), READY));
        loop {
            self.works();
            let busy: Vec<_> = self.under_way.iter().filter(|busy| *busy.1 > 0).collect();
            if let Some((&app, _)) = busy.first().copied() {
                self.ends(app, None);
            } else if let Some(wakes) = self.schedule.wakes() {
                assert!(wakes > self.now, "a moment that has passed is waited for");
                self.now = wakes;
            } else {
                return;
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_nothing_is_lost_and_no_limit_is_passed(steps in steps()) {
        let mut world = World::new();
        let came = steps.iter().filter(|step| matches!(step, Step::Comes(..))).count();
        steps.iter().for_each(|step| world.step(step));
        world.finish();
        prop_assert_eq!(world.delivered, came);
        prop_assert!(world.due.values().all(Vec::is_empty));
    }

    #[test]
    fn between_two_turns_of_an_app_each_other_one_has_at_most_one(
        apps in 2..20_u128, batch in 1..8_usize, rounds in 1..6_usize
    ) {
        let mut schedule = Schedule::new(Limits { batch, ..Limits::default() });
        (0..apps).for_each(|number| schedule.told(app(number), START, START));
        let mut turns = BTreeMap::<AppId, usize>::new();
        for _ in 0..rounds * apps as usize {
            let Some(Order::Take { app, most }) = schedule.next(START, ready) else { panic!() };
            *turns.entry(app).or_default() += 1;
            schedule.taken(app, most, most, Some(START), START);
            (0..most).for_each(|_| drop(schedule.ended(app, &End::Answered, START)));
        }
        prop_assert!(turns.values().all(|count| *count == rounds), "{:?}", turns);
    }
}
