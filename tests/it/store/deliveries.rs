//! Events are accepted, leased, settled and given up.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;
use webhook_operator::moment::Moment;
use webhook_operator::store::{
    Accepted, Body, DeadReason, DeliveryState, Filter, Health, NewEvent, Next, Settled,
};

use crate::store::engines::on_every_engine;
use crate::store::world::{LEASE, NOW, World, attempted, failed};

async fn an_event_is_leased_with_everything_that_was_sent_and_settled_once(world: World) {
    let event = world.event("a", b"{\"n\":1}");
    let id = event.id;
    let content = event.content.clone();
    assert_eq!(world.store.accept(event).await, Ok(Accepted::Stored));
    assert_eq!(world.due_apps().await, [(world.app, NOW)]);

    let leased = world.take_one(NOW).await;
    assert_eq!((leased.event, leased.lease.delivery, leased.attempt), (id, id, 1));
    assert_eq!(leased.begun(), NOW);
    assert_eq!((leased.form, &leased.content_type), (content.form, &content.content_type));
    assert_eq!(leased.headers, content.headers);
    assert!(matches!(&leased.body, Body::Here(body) if *body == content.body));
    assert_eq!(&*leased.webhook.name, "a");
    assert_eq!(&*leased.webhook.action, "act-a");
    assert!(world.take(NOW).await.leased.is_empty(), "it is leased");

    let settled = world.store.settle(leased.lease, attempted(1), Next::Succeeded).await;
    assert_eq!(settled, Ok(Settled::Recorded));
    let again = world.store.settle(leased.lease, attempted(1), Next::Succeeded).await;
    assert_eq!(again, Ok(Settled::Stale));
    assert_eq!(world.summary(id).await.state, DeliveryState::Succeeded);
    assert!(world.take(NOW + Duration::from_secs(3600)).await.leased.is_empty());
}

async fn a_delivery_that_failed_is_due_again_when_it_was_said_to_be(world: World) {
    let id = world.accept("a").await;
    let leased = world.take_one(NOW).await;
    world.due_apps().await;
    let due = NOW + Duration::from_secs(5);
    world.store.settle(leased.lease, failed(1), Next::Retry(due)).await.unwrap();
    assert_eq!(world.due_apps().await, [(world.app, due)]);
    let early = world.take(NOW + Duration::from_secs(4)).await;
    assert!(early.leased.is_empty());
    assert_eq!(early.next_due, Some(due));
    let leased = world.take_one(due).await;
    assert_eq!(leased.attempt, 2);
    let next = Next::Dead(DeadReason::AttemptsUsedUp);
    world.store.settle(leased.lease, failed(2), next).await.unwrap();

    let detail = world.store.show(id).await.unwrap().unwrap();
    assert_eq!(detail.summary.state, DeliveryState::Dead);
    assert_eq!(detail.summary.reason, Some(DeadReason::AttemptsUsedUp));
    assert_eq!((detail.summary.attempts, detail.summary.last_status), (2, Some(500)));
    assert_eq!(detail.attempts, [failed(1), failed(2)]);
    assert_eq!(&detail.body[..], b"{}");
}

async fn a_late_answer_does_not_overwrite_a_later_attempt(world: World) {
    let id = world.accept("a").await;
    let first = world.take_one(NOW).await;
    let later = NOW + LEASE;
    let second = world.take_one(later).await;
    assert_eq!(second.lease.delivery, id);
    let late = world.store.settle(first.lease, attempted(1), Next::Succeeded).await;
    assert_eq!(late, Ok(Settled::Stale));
    assert_eq!(world.summary(id).await.state, DeliveryState::Pending);
    let settled = world.store.settle(second.lease, attempted(1), Next::Succeeded).await;
    assert_eq!(settled, Ok(Settled::Recorded));
}

async fn a_late_answer_counts_as_long_as_nobody_else_has_the_delivery(world: World) {
    world.accept("a").await;
    let leased = world.take_one(NOW).await;
    let settled = world.store.settle(leased.lease, attempted(1), Next::Succeeded).await;
    assert_eq!(settled, Ok(Settled::Recorded));
}

async fn what_was_leased_is_due_again_after_a_restart(world: World) {
    let id = world.accept("a").await;
    world.take_one(NOW).await;
    let world = world.restart();
    assert_eq!(world.due_apps().await, [(world.app, Moment(0))]);
    let leased = world.take_one(NOW).await;
    assert_eq!((leased.lease.delivery, leased.attempt), (id, 1));
}

async fn ids_go_on_after_a_restart_even_when_the_clock_was_set_back(world: World) {
    let before = world.accept("a").await;
    let world = world.restart();
    assert!(world.store.ids().next(NOW - Duration::from_secs(60)) > before);
}

async fn takes_stop_at_what_was_asked_for_and_say_that_there_is_more(world: World) {
    for _ in 0..5 {
        world.accept("a").await;
    }
    let taken = world.take_at_most(3, NOW).await;
    assert_eq!((taken.leased.len(), taken.next_due), (3, Some(NOW)));
    let taken = world.take_at_most(3, NOW).await;
    assert_eq!(taken.leased.len(), 2);
    assert_eq!(taken.next_due, Some(NOW + LEASE), "when the first lease ends");
}

async fn a_large_body_stays_on_the_disk_until_it_is_asked_for(world: World) {
    let body = vec![b'x'; 3 << 20];
    let event = world.event("a", &body);
    let id = event.id;
    world.store.accept(event).await.unwrap();
    let leased = world.take_one(NOW).await;
    assert!(matches!(leased.body, Body::Stored(len) if len == body.len()));
    assert_eq!(world.store.body(id).await.unwrap().unwrap(), body);
    assert_eq!(world.store.body(world.store.ids().next(NOW)).await, Ok(None));
}

async fn the_same_event_twice_within_its_window_is_the_first_one(world: World) {
    let hour = Duration::from_secs(3600);
    let copy = |webhook, key, now| world.copy(webhook, key, hour, now);
    let first = copy("a", 1, NOW);
    let id = first.id;
    assert_eq!(world.store.accept(first).await, Ok(Accepted::Stored));
    let last = NOW + hour - Duration::from_millis(1);
    assert_eq!(world.store.accept(copy("a", 1, last)).await, Ok(Accepted::Duplicate(id)));
    assert_eq!(world.store.accept(copy("a", 2, NOW)).await, Ok(Accepted::Stored), "another key");
    assert_eq!(
        world.store.accept(copy("b", 1, NOW)).await,
        Ok(Accepted::Stored),
        "another webhook"
    );
    assert_eq!(world.store.accept(copy("a", 1, NOW + hour)).await, Ok(Accepted::Stored));
    // It is the first one of a new window.
    let again = world.store.accept(copy("a", 1, NOW + hour)).await;
    assert!(matches!(again, Ok(Accepted::Duplicate(other)) if other != id));
}

async fn copies_that_come_at_once_are_one_event(world: World) {
    let copies = (0..50).map(|_| world.copy("a", 1, Duration::from_secs(60), NOW));
    let answers = copies.map(|copy| world.store.accept(copy)).collect::<Vec<_>>();
    let mut stored = 0;
    for answer in answers {
        stored += usize::from(answer.await.unwrap() == Accepted::Stored);
    }
    assert_eq!(stored, 1);
    assert_eq!(world.list(Filter::default()).await.len(), 1);
}

async fn what_is_undelivered_of_an_app_can_be_given_up(world: World) {
    for _ in 0..3 {
        world.accept("fifo").await;
    }
    world.accept("a").await;
    let leased = world.take_one(NOW).await;
    let mut count = 0;
    loop {
        match world.store.give_up(world.app, DeadReason::AppDeleted, NOW).await.unwrap() {
            0 => break,
            some => count += some,
        }
    }
    assert_eq!(count, 4);
    let dead = world.list(Filter { state: Some(DeliveryState::Dead), ..Filter::default() }).await;
    assert!(dead.iter().all(|line| line.reason == Some(DeadReason::AppDeleted)) && dead.len() == 4);
    let late = world.store.settle(leased.lease, attempted(1), Next::Succeeded).await;
    assert_eq!(late, Ok(Settled::Stale));
    assert_eq!(*world.store.health().borrow(), Health::Serving);
}

async fn a_route_and_the_secrets_in_it_do_not_outlive_its_webhook(world: World) {
    let route = world.route("hook");
    let weak = Arc::downgrade(&route);
    let event = NewEvent { route, ..world.event("hook", b"{}") };
    assert_ne!(event.id, Uuid::nil());
    world.store.accept(event).await.unwrap();
    // An engine's thread lets go of the event when it has answered; what comes after that is answered later.
    world.take(NOW).await;
    assert!(weak.upgrade().is_none());
}

on_every_engine![
    an_event_is_leased_with_everything_that_was_sent_and_settled_once,
    a_delivery_that_failed_is_due_again_when_it_was_said_to_be,
    a_late_answer_does_not_overwrite_a_later_attempt,
    a_late_answer_counts_as_long_as_nobody_else_has_the_delivery,
    what_was_leased_is_due_again_after_a_restart,
    ids_go_on_after_a_restart_even_when_the_clock_was_set_back,
    takes_stop_at_what_was_asked_for_and_say_that_there_is_more,
    a_large_body_stays_on_the_disk_until_it_is_asked_for,
    the_same_event_twice_within_its_window_is_the_first_one,
    copies_that_come_at_once_are_one_event,
    what_is_undelivered_of_an_app_can_be_given_up,
    a_route_and_the_secrets_in_it_do_not_outlive_its_webhook,
];
