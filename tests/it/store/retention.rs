//! What has ended is forgotten after its time.

use std::time::Duration;

use webhook_operator::store::{Accepted, DeadReason, Filter, Next};

use crate::store::engines::on_durable_engines;
use crate::store::world::{NOW, World, failed};

async fn what_has_ended_is_forgotten_after_its_time_and_windows_after_theirs(world: World) {
    let day = Duration::from_secs(24 * 3600);
    let world = world.restart_keeping(day);
    world.accept("a").await;
    world.deliver(1).await;
    let kept = world.accept("a").await;
    world.clock.set(NOW + day + Duration::from_secs(60));
    // Any operation makes an engine look for what is over.
    tokio::time::timeout(Duration::from_secs(10), async {
        while world.list(Filter::default()).await.len() > 1 {
            world.deliver(0).await;
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(world.list(Filter::default()).await[0].id, kept);
}

/// The key alone would lose the event.
async fn a_repetition_of_an_event_that_is_forgotten_is_a_new_event(world: World) {
    let (hour, window) = (Duration::from_secs(3600), Duration::from_secs(7 * 24 * 3600));
    assert_eq!(world.store.accept(world.copy("a", 1, window, NOW)).await, Ok(Accepted::Stored));
    let leased = world.take_one(NOW).await;
    let dead = Next::Dead(DeadReason::Rejected);
    world.store.settle(leased.lease, failed(1), dead).await.unwrap();
    let world = world.restart_keeping(hour);
    let later = NOW + 2 * hour;
    world.clock.set(later);
    tokio::time::timeout(Duration::from_secs(10), async {
        while !world.list(Filter::default()).await.is_empty() {
            world.deliver(0).await;
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let again = world.copy("a", 1, window, later);
    let id = again.id;
    assert_eq!(world.store.accept(again).await, Ok(Accepted::Stored));
    let third = world.store.accept(world.copy("a", 1, window, later)).await;
    assert_eq!(third, Ok(Accepted::Duplicate(id)), "the key is that of the new event");
}

on_durable_engines![
    what_has_ended_is_forgotten_after_its_time_and_windows_after_theirs,
    a_repetition_of_an_event_that_is_forgotten_is_a_new_event,
];
