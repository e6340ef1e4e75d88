//! A clock that is set back between two processes delays nothing, however often the process starts after it.

use std::time::Duration;

use webhook_operator::moment::Moment;
use webhook_operator::store::{Accepted, NewEvent, Next};

use crate::store::engine::Engine;
use crate::store::engines::on_engines_of_one_process;
use crate::store::world::{NOW, World, attempted, failed};

pub const HOUR: Duration = Duration::from_secs(3600);
pub const MINUTE: Duration = Duration::from_secs(60);

/// Adds a delivery, the only one, which failed and is due in ten minutes.
pub async fn with_a_retry<E: Engine>(world: World<E>) -> World<E> {
    world.accept("a").await;
    let leased = world.take_one(NOW).await;
    let next = Next::Retry(NOW + 10 * MINUTE);
    world.store.settle(leased.lease, failed(1), next).await.unwrap();
    world
}

pub async fn next_due<E: Engine>(world: &World<E>, now: Moment) -> Option<Moment> {
    let taken = world.take(now).await;
    assert!(taken.leased.is_empty());
    taken.next_due
}

async fn a_retry_is_moved_once_by_the_step_and_not_again_at_later_starts(world: World) {
    let back = NOW - HOUR;
    let mut world = with_a_retry(world).await.restart_at(NOW - HOUR);
    assert_eq!(next_due(&world, back).await, Some(back + 10 * MINUTE));
    // The stored ids are still ahead of the clock.
    for _ in 0..3 {
        let event = NewEvent { now: back, ..world.event("fifo", b"{}") };
        world.store.accept(event).await.unwrap();
        let leased = world.take_one(back).await;
        world.store.settle(leased.lease, attempted(1), Next::Succeeded).await.unwrap();
        world = world.restart_at(NOW - HOUR + MINUTE);
        assert_eq!(next_due(&world, back + MINUTE).await, Some(back + 10 * MINUTE));
    }
}

async fn a_clock_that_is_set_back_again_is_noticed_again(world: World) {
    let world = with_a_retry(world).await.restart_at(NOW - HOUR).restart_at(NOW - 2 * HOUR);
    let back = NOW - 2 * HOUR;
    assert_eq!(next_due(&world, back).await, Some(back + 10 * MINUTE));
}

async fn windows_and_retention_do_not_last_longer_by_the_step(world: World) {
    let copy = world.copy("a", 1, HOUR, NOW);
    let id = copy.id;
    world.store.accept(copy).await.unwrap();
    let leased = world.take_one(NOW).await;
    world.store.settle(leased.lease, attempted(1), Next::Succeeded).await.unwrap();
    let ended = world.summary(id).await.finished.unwrap();
    let world = world.restart_at(NOW - HOUR);
    assert_eq!(world.summary(id).await.finished, Some(ended - HOUR));
    let accept = |now| world.store.accept(world.copy("a", 1, HOUR, now));
    assert_eq!(accept(NOW - Duration::from_millis(1)).await, Ok(Accepted::Duplicate(id)));
    assert_eq!(accept(NOW).await, Ok(Accepted::Stored));
}

on_engines_of_one_process![
    a_retry_is_moved_once_by_the_step_and_not_again_at_later_starts,
    a_clock_that_is_set_back_again_is_noticed_again,
    windows_and_retention_do_not_last_longer_by_the_step,
];
