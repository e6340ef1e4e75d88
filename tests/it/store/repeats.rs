//! A repetition of an event that is no longer under way: it is delivered again, once.

use std::time::Duration;

use uuid::Uuid;
use webhook_operator::store::{
    Accepted, DeadReason, DeliveryState, DuplicateKey, Filter, NewEvent, Next,
};
use webhook_operator::verify::Repeats;

use crate::store::engines::on_every_engine;
use crate::store::world::{NOW, World, attempted, failed};

const HOUR: Duration = Duration::from_secs(3600);

const DEAD: Next = Next::Dead(DeadReason::Rejected);

fn copy(world: &World, webhook: &str, repeats: Repeats) -> NewEvent {
    let duplicate = Some(DuplicateKey { hash: [1; 16], repeats, window: HOUR });
    NewEvent { duplicate, ..world.event(webhook, b"{\"copy\":1}") }
}

/// An event with the key of all copies, delivered with this end.
async fn first(world: &World, webhook: &str, end: Next) -> Uuid {
    let event = NewEvent {
        duplicate: copy(world, webhook, Repeats::ByItself).duplicate,
        ..world.event(webhook, b"{}")
    };
    let id = event.id;
    assert_eq!(world.store.accept(event).await, Ok(Accepted::Stored));
    finish(world, end).await;
    id
}

async fn finish(world: &World, end: Next) {
    let leased = world.take_one(NOW).await;
    let attempted = if end == Next::Succeeded { attempted(1) } else { failed(1) };
    world.store.settle(leased.lease, attempted, end).await.unwrap();
}

async fn repeat(world: &World, webhook: &str, repeats: Repeats) -> (Uuid, Accepted) {
    let copy = copy(world, webhook, repeats);
    (copy.id, world.store.accept(copy).await.unwrap())
}

async fn a_repetition_of_a_dead_event_is_a_replay_of_the_first_one(world: World) {
    for repeats in [Repeats::ByItself, Repeats::ByHand] {
        let webhook = if repeats == Repeats::ByHand { "by-hand" } else { "by-itself" };
        let id = first(&world, webhook, DEAD).await;
        world.due_apps().await;
        let (replay, answer) = repeat(&world, webhook, repeats).await;
        assert_eq!(answer, Accepted::Replayed(id));
        assert_eq!(world.due_apps().await, [(world.app, NOW)]);
        let summary = world.summary(replay).await;
        assert_eq!((summary.event, summary.generation, summary.attempts), (id, 2, 0));
        assert_eq!(world.summary(id).await.state, DeliveryState::Dead);
        let under_way = repeat(&world, webhook, repeats).await.1;
        assert_eq!(under_way, Accepted::Duplicate(id));
        let leased = world.take_one(NOW).await;
        assert_eq!((leased.event, leased.lease.delivery, leased.attempt), (id, replay, 1));
        assert_eq!(world.store.show(replay).await.unwrap().unwrap().body, b"{}"[..]);
        let leased_already = repeat(&world, webhook, repeats).await.1;
        assert_eq!(leased_already, Accepted::Duplicate(id));
        world.store.settle(leased.lease, failed(1), DEAD).await.unwrap();
        let (again, answer) = repeat(&world, webhook, repeats).await;
        assert_eq!(answer, Accepted::Replayed(id));
        assert_eq!(world.summary(again).await.generation, 3);
        finish(&world, Next::Succeeded).await;
    }
}

async fn only_somebody_who_asks_for_it_repeats_an_event_that_was_delivered(world: World) {
    let id = first(&world, "a", Next::Succeeded).await;
    assert_eq!(repeat(&world, "a", Repeats::ByItself).await.1, Accepted::Duplicate(id));
    assert_eq!(repeat(&world, "a", Repeats::ByHand).await.1, Accepted::Replayed(id));
    finish(&world, DEAD).await;
    // One delivery of it succeeded.
    assert_eq!(repeat(&world, "a", Repeats::ByItself).await.1, Accepted::Duplicate(id));
}

async fn repetitions_that_come_at_once_make_one_delivery(world: World) {
    let id = first(&world, "a", DEAD).await;
    let copies = (0..50).map(|_| copy(&world, "a", Repeats::ByHand));
    let answers = copies.map(|copy| world.store.accept(copy)).collect::<Vec<_>>();
    let mut replays = 0;
    for answer in answers {
        match answer.await.unwrap() {
            Accepted::Replayed(event) if event == id => replays += 1,
            other => assert_eq!(other, Accepted::Duplicate(id)),
        }
    }
    assert_eq!((replays, world.list(Filter::default()).await.len()), (1, 2));
}

async fn a_repetition_waits_for_its_turn_in_a_fifo_webhook(world: World) {
    let id = first(&world, "fifo", DEAD).await;
    let earlier = world.accept("fifo").await;
    let (replay, answer) = repeat(&world, "fifo", Repeats::ByItself).await;
    assert_eq!(answer, Accepted::Replayed(id));
    assert_eq!(world.summary(replay).await.state, DeliveryState::Waiting);
    assert_eq!(repeat(&world, "fifo", Repeats::ByHand).await.1, Accepted::Duplicate(id));
    let leased = world.take_one(NOW).await;
    assert_eq!(leased.event, earlier);
    world.store.settle(leased.lease, attempted(1), Next::Succeeded).await.unwrap();
    assert_eq!(world.take_one(NOW + HOUR).await.lease.delivery, replay);
}

async fn a_repetition_that_was_answered_outlives_the_process(world: World) {
    let id = first(&world, "a", DEAD).await;
    let (replay, answer) = repeat(&world, "a", Repeats::ByItself).await;
    assert_eq!(answer, Accepted::Replayed(id));
    let world = world.restart();
    assert_eq!(world.take_one(NOW).await.lease.delivery, replay);
    assert_eq!(repeat(&world, "a", Repeats::ByHand).await.1, Accepted::Duplicate(id));
}

async fn a_refused_event_is_a_duplicate_or_nothing(world: World) {
    let refused =
        |webhook| NewEvent { is_refused: true, ..copy(&world, webhook, Repeats::ByItself) };
    assert_eq!(world.store.accept(refused("a")).await, Ok(Accepted::Refused));
    assert!(world.list(Filter::default()).await.is_empty());
    let id = first(&world, "a", Next::Succeeded).await;
    assert_eq!(world.store.accept(refused("a")).await, Ok(Accepted::Duplicate(id)));
    first(&world, "b", DEAD).await;
    assert_eq!(world.store.accept(refused("b")).await, Ok(Accepted::Refused), "no replay");
    assert_eq!(world.list(Filter::default()).await.len(), 2);
}

on_every_engine![
    a_refused_event_is_a_duplicate_or_nothing,
    a_repetition_of_a_dead_event_is_a_replay_of_the_first_one,
    only_somebody_who_asks_for_it_repeats_an_event_that_was_delivered,
    repetitions_that_come_at_once_make_one_delivery,
    a_repetition_waits_for_its_turn_in_a_fifo_webhook,
    a_repetition_that_was_answered_outlives_the_process,
];
