//! `ordering: Fifo`.

use std::time::Duration;

use webhook_operator::resources::Ordering;
use webhook_operator::store::{DeadReason, DeliveryState, NewEvent, Next};

use crate::store::engines::on_every_engine;
use crate::store::world::{NOW, World, attempted, failed};

async fn of_a_fifo_webhook_the_next_one_waits_until_the_one_before_has_ended(world: World) {
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(world.accept("fifo").await);
    }
    let other = world.accept("parallel").await;
    let taken = world.take(NOW).await.leased;
    let due: Vec<_> = taken.iter().map(|leased| leased.lease.delivery).collect();
    assert_eq!(due.len(), 2);
    assert!(due.contains(&ids[0]) && due.contains(&other), "{due:?}");
    assert_eq!(world.summary(ids[1]).await.state, DeliveryState::Waiting);

    // A retry keeps the others waiting, across a restart too.
    let head = taken.iter().find(|leased| leased.lease.delivery == ids[0]).unwrap().lease;
    let again = NOW + Duration::from_secs(5);
    world.store.settle(head, failed(1), Next::Retry(again)).await.unwrap();
    let world = world.restart();
    let retry = loop {
        let leased = world.take_one(again).await;
        if leased.lease.delivery == ids[0] {
            break leased.lease;
        }
        assert_eq!(leased.lease.delivery, other);
    };
    assert!(world.take(again).await.leased.is_empty());

    let dead = Next::Dead(DeadReason::Rejected);
    world.store.settle(retry, failed(2), dead).await.unwrap();
    let second = world.take_one(again).await;
    assert_eq!(second.lease.delivery, ids[1]);
    world.store.settle(second.lease, attempted(1), Next::Succeeded).await.unwrap();
    assert_eq!(world.take_one(again).await.lease.delivery, ids[2]);
}

async fn the_end_of_the_head_is_news_of_the_next(world: World) {
    world.accept("fifo").await;
    world.accept("fifo").await;
    let head = world.take_one(NOW).await;
    world.due_apps().await;
    world.store.settle(head.lease, attempted(1), Next::Succeeded).await.unwrap();
    assert_eq!(world.due_apps().await.len(), 1);
}

async fn a_webhook_that_ceases_to_be_fifo_lets_go_what_waited(world: World) {
    for _ in 0..3 {
        world.accept("fifo").await;
    }
    let parallel = world.route_with("fifo", Ordering::Parallel);
    let event = NewEvent { route: parallel, ..world.event("fifo", b"{}") };
    world.store.accept(event).await.unwrap();
    assert_eq!(world.take(NOW).await.leased.len(), 4);
}

async fn a_webhook_that_becomes_fifo_waits_for_all_that_was_there(world: World) {
    let parallel = |world: &World| NewEvent {
        route: world.route_with("fifo", Ordering::Parallel),
        ..world.event("fifo", b"{}")
    };
    world.store.accept(parallel(&world)).await.unwrap();
    world.store.accept(parallel(&world)).await.unwrap();
    let last = world.accept("fifo").await;
    let both = world.take(NOW).await.leased;
    assert_eq!(both.len(), 2);
    world.store.settle(both[0].lease, attempted(1), Next::Succeeded).await.unwrap();
    let later = NOW + Duration::from_secs(1);
    assert!(world.take(later).await.leased.is_empty());
    world.store.settle(both[1].lease, attempted(1), Next::Succeeded).await.unwrap();
    assert_eq!(world.take_one(later).await.lease.delivery, last);
}

on_every_engine![
    of_a_fifo_webhook_the_next_one_waits_until_the_one_before_has_ended,
    the_end_of_the_head_is_news_of_the_next,
    a_webhook_that_ceases_to_be_fifo_lets_go_what_waited,
    a_webhook_that_becomes_fifo_waits_for_all_that_was_there,
];
