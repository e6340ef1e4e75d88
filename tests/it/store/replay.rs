//! Lists and replays.

use std::time::Duration;

use uuid::Uuid;
use webhook_operator::store::{DeadReason, DeliveryState, Filter, Next, ids};

use crate::store::engines::on_every_engine;
use crate::store::world::{NOW, World, attempted, failed};

async fn end(world: &World, next: Next) -> Uuid {
    let leased = world.take_one(NOW).await;
    world.store.settle(leased.lease, failed(leased.attempt), next).await.unwrap();
    leased.lease.delivery
}

async fn a_replay_is_a_new_delivery_of_the_same_event(world: World) {
    let event = world.accept("a").await;
    end(&world, Next::Dead(DeadReason::Rejected)).await;
    world.due_apps().await;
    let replay = world.store.replay(event, NOW).await.unwrap().unwrap();
    assert_eq!(world.due_apps().await.len(), 1);
    let leased = world.take_one(NOW).await;
    assert_eq!((leased.lease.delivery, leased.event, leased.attempt), (replay, event, 1));
    world.store.settle(leased.lease, attempted(1), Next::Succeeded).await.unwrap();
    let line = world.summary(replay).await;
    assert_eq!((line.generation, line.state, line.attempts), (2, DeliveryState::Succeeded, 1));
    assert_eq!(
        world.summary(event).await.state,
        DeliveryState::Dead,
        "the first one stays as it was"
    );
    let third = world.store.replay(event, NOW).await.unwrap().unwrap();
    assert_eq!(world.summary(third).await.generation, 3);
    assert_eq!(world.store.replay(Uuid::from_u128(1), NOW).await, Ok(None));
}

async fn a_replay_of_a_fifo_webhook_waits_for_its_turn(world: World) {
    let first = world.accept("fifo").await;
    end(&world, Next::Dead(DeadReason::Rejected)).await;
    world.accept("fifo").await;
    let replay = world.store.replay(first, NOW).await.unwrap().unwrap();
    assert_eq!(world.summary(replay).await.state, DeliveryState::Waiting);
    end(&world, Next::Succeeded).await;
    let later = NOW + Duration::from_secs(1);
    assert_eq!(world.take_one(later).await.lease.delivery, replay);
}

async fn all_that_died_is_replayed_in_steps_and_nothing_twice(world: World) {
    for _ in 0..7 {
        world.accept("a").await;
        end(&world, Next::Dead(DeadReason::Rejected)).await;
    }
    world.accept("a").await;
    end(&world, Next::Succeeded).await;
    world.accept("b").await;
    end(&world, Next::Dead(DeadReason::TooOld)).await;
    let filter = || Filter {
        webhook: Some("a".into()),
        state: Some(DeliveryState::Dead),
        ..Filter::default()
    };
    let (mut count, mut cursor) = (0, None);
    loop {
        let step = world.store.replay_all(filter(), cursor, 3, NOW).await.unwrap();
        count += step.count;
        cursor = step.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(count, 7);
    let again = world.store.replay_all(filter(), None, 100, NOW).await.unwrap();
    assert_eq!(again.count, 0, "the first ones have a replay under way");
    assert_eq!(world.take(NOW).await.leased.len(), 7);
}

async fn lists_are_latest_first_and_go_on_after_a_cursor(world: World) {
    let mut ids = Vec::new();
    for number in 0..9 {
        ids.push(world.accept(["a", "b", "c"][number % 3]).await);
    }
    ids.reverse();
    let of = |lines: Vec<webhook_operator::store::Summary>| -> Vec<Uuid> {
        lines.iter().map(|line| line.id).collect()
    };
    assert_eq!(of(world.list(Filter::default()).await), ids);
    let team = || Filter { namespace: Some("team-a".into()), ..Filter::default() };
    let page = of(world.store.list(team(), None, 4).await.unwrap());
    assert_eq!(page, ids[..4]);
    let page = of(world.store.list(team(), Some(ids[3]), 100).await.unwrap());
    assert_eq!(page, ids[4..]);
    let webhook = Filter { webhook: Some("b".into()), ..team() };
    assert_eq!(of(world.list(webhook).await), [ids[1], ids[4], ids[7]]);
    let other = Filter { namespace: Some("team-b".into()), ..Filter::default() };
    assert!(world.list(other).await.is_empty());
    let late = NOW + Duration::from_millis(1);
    assert!(world.list(Filter { since: Some(late), ..team() }).await.is_empty());
    assert_eq!(world.list(Filter { since: Some(NOW), until: Some(late), ..team() }).await.len(), 9);
    assert!(ids.iter().all(|id| ids::moment(*id) == NOW));
}

/// Replicas make ids of one key within a millisecond: a page may end with that of another one.
async fn a_list_goes_on_after_the_id_of_another_replica_with_the_same_key(world: World) {
    let (first, second) = (world.accept("a").await, world.accept("a").await);
    let neighbour = |tail: u64| ids::from_parts(ids::key(second), tail);
    for (cursor, expected) in [
        (neighbour(ids::tail(second) + 1), vec![second, first]),
        (second, vec![first]),
        (neighbour(ids::tail(second) - 1), vec![first]),
    ] {
        let found = world.store.list(Filter::default(), Some(cursor), 9).await.unwrap();
        assert_eq!(found.iter().map(|line| line.id).collect::<Vec<_>>(), expected);
    }
}

async fn lists_tell_states_apart(world: World) {
    for _ in 0..4 {
        world.accept("a").await;
    }
    world.accept("fifo").await;
    world.accept("fifo").await;
    end(&world, Next::Succeeded).await;
    end(&world, Next::Dead(DeadReason::TooOld)).await;
    for (state, count) in [
        (None, 6),
        (Some(DeliveryState::Pending), 4),
        (Some(DeliveryState::Waiting), 1),
        (Some(DeliveryState::Succeeded), 1),
        (Some(DeliveryState::Dead), 1),
    ] {
        let lines = world.list(Filter { state, ..Filter::default() }).await;
        assert_eq!(lines.len(), count, "{state:?}");
    }
}

on_every_engine![
    a_replay_is_a_new_delivery_of_the_same_event,
    a_replay_of_a_fifo_webhook_waits_for_its_turn,
    all_that_died_is_replayed_in_steps_and_nothing_twice,
    lists_are_latest_first_and_go_on_after_a_cursor,
    a_list_goes_on_after_the_id_of_another_replica_with_the_same_key,
    lists_tell_states_apart,
];
