//! A tenant that fills the store beside one that does not.

use std::time::Duration;

use rusqlite::Connection;
use webhook_operator::store::{
    Accepted, DeadReason, DeliveryState, Filter, NewEvent, Next, StoreError,
};

use super::World;
use super::schema::TO_VERSION_3;
use crate::store::world::{LEASE, NOW, attempted, elsewhere, failed};

const QUIET: &str = "team-b";

/// As in the report: 20 MiB, bodies of 200 kB.
fn world() -> (World, Vec<u8>) {
    (World::with(|options| options.max_bytes = 20 << 20), vec![b'x'; 200_000])
}

fn of_quiet(world: &World, body: &[u8]) -> NewEvent {
    let route = elsewhere(&world.route("quiet"), QUIET);
    NewEvent { route, ..world.event("quiet", body) }
}

/// Five dead letters of the quiet tenant.
async fn dead_letters(world: &World) {
    for _ in 0..5 {
        world.store.accept(of_quiet(world, b"{}")).await.unwrap();
    }
    let app = of_quiet(world, b"{}").route.app.id;
    let take =
        webhook_operator::store::Take { app, most: 5, concurrency: 5, now: NOW, lease: LEASE };
    for leased in world.store.take(take).await.unwrap().leased {
        let next = Next::Dead(DeadReason::Rejected);
        world.store.settle(leased.lease, failed(1), next).await.unwrap();
    }
}

/// What the quiet tenant has.
async fn kept(world: &World, state: DeliveryState) -> usize {
    let filter = Filter { namespace: Some(QUIET.into()), state: Some(state), ..Filter::default() };
    world.list(filter).await.len()
}

#[tokio::test]
async fn a_flooded_app_is_refused_and_the_dead_letters_and_triggers_of_others_are_safe() {
    let (world, body) = world();
    dead_letters(&world).await;
    let (mut stored, mut refused) = (0, 0);
    for _ in 0..140 {
        match world.store.accept(world.event("hook", &body)).await {
            Ok(_) => stored += 1,
            Err(StoreError::AppFull) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    // Three eighths of 20 MiB.
    assert_eq!((stored, refused), (39, 101));
    assert_eq!(kept(&world, DeliveryState::Dead).await, 5);
    assert_eq!(world.store.accept(of_quiet(&world, &body)).await, Ok(Accepted::Stored));
}

#[tokio::test]
async fn what_ended_of_a_full_app_makes_room_for_it_the_dead_last() {
    let (world, body) = world();
    dead_letters(&world).await;
    let dead = world.event("hook", &body);
    world.store.accept(dead.clone()).await.unwrap();
    let leased = world.take_one(NOW).await;
    let next = Next::Dead(DeadReason::Rejected);
    world.store.settle(leased.lease, failed(1), next).await.unwrap();
    // A hundred times the share passes through.
    for _ in 0..200 {
        while let Err(error) = world.store.accept(world.event("hook", &body)).await {
            assert_eq!(error, StoreError::AppFull);
            // Anything wakes the writer, which makes room.
            world.take_at_most(0, NOW).await;
            tokio::task::yield_now().await;
        }
        let leased = world.take_one(NOW).await;
        world.store.settle(leased.lease, attempted(1), Next::Succeeded).await.unwrap();
    }
    assert_eq!(
        world.summary(dead.id).await.state,
        DeliveryState::Dead,
        "what succeeded goes first"
    );
    assert_eq!(kept(&world, DeliveryState::Dead).await, 5);
}

#[tokio::test]
async fn attempts_that_fail_take_no_more_than_the_share() {
    let (world, body) = world();
    while world.store.accept(world.event("hook", &body)).await.is_ok() {}
    let leased = world.take_one(NOW).await;
    let (mut lease, id) = (leased.lease, leased.event);
    for number in 1..=50 {
        world.store.settle(lease, failed(number), Next::Retry(NOW)).await.unwrap();
        let again = world.take_at_most(100, NOW).await.leased;
        lease = again.into_iter().find(|leased| leased.event == id).unwrap().lease;
    }
    let attempts = world.store.show(id).await.unwrap().unwrap().attempts;
    assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [50]);
}

fn charged(db: &Connection) -> Vec<(String, i64)> {
    let mut select =
        db.prepare("SELECT namespace, stored_bytes FROM app ORDER BY namespace").unwrap();
    let rows = select.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn what_is_charged_is_what_a_migration_counts_and_nothing_when_all_is_gone() {
    let world = World::new();
    dead_letters(&world).await;
    for body in [&b"{}"[..], b"[1,2,3]"] {
        world.store.accept(world.event("hook", body)).await.unwrap();
    }
    let leased = world.take_one(NOW).await;
    let id = leased.lease.delivery;
    world.store.settle(leased.lease, failed(1), Next::Retry(NOW)).await.unwrap();
    let leased = world.take_one(NOW).await;
    world.store.settle(leased.lease, attempted(2), Next::Succeeded).await.unwrap();
    world.store.replay(id, NOW).await.unwrap().unwrap();
    let mut live = Vec::new();
    let world = world.restart_with(|db| {
        live = charged(db);
        db.execute_batch(TO_VERSION_3).unwrap();
    });
    assert!(live.iter().all(|(_, bytes)| *bytes > 1000), "{live:?}");
    let mut migrated = Vec::new();
    let world = world.restart_with(|db| migrated = charged(db));
    assert_eq!(migrated, live);

    // All ends, and is forgotten.
    let leased = world.take(NOW).await.leased;
    for leased in leased {
        world.store.settle(leased.lease, attempted(leased.attempt), Next::Succeeded).await.unwrap();
    }
    let world = world.restart_forgetful();
    tokio::time::timeout(Duration::from_secs(10), async {
        while !world.list(Filter::default()).await.is_empty() {
            world.take_at_most(0, NOW).await;
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let mut left = Vec::new();
    world.restart_with(|db| left = charged(db));
    assert!(left.iter().all(|(_, bytes)| *bytes == 0), "{left:?}");
}
