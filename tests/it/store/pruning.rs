//! What is kept of webhooks that were deleted ends with their deliveries.

use std::sync::Arc;

use rusqlite::Connection;
use uuid::Uuid;
use webhook_operator::store::{Filter, NewEvent, Next, Store, StoredWebhook};

use super::world::{NOW, World, attempted};

async fn deliver_all(world: &World) {
    for leased in world.take(NOW).await.leased {
        world.store.settle(leased.lease, attempted(1), Next::Succeeded).await.unwrap();
    }
    while !world.list(Filter::default()).await.is_empty() {
        // Anything wakes the writer.
        world.take_at_most(0, NOW).await;
        tokio::task::yield_now().await;
    }
}

async fn prune(world: &World, exists: &'static [&'static str]) {
    let exists = Arc::new(move |stored: &StoredWebhook| exists.contains(&&*stored.name));
    while world.store.prune_webhooks(exists.clone()).await.unwrap() {}
}

fn rows(db: &Connection) -> [i64; 3] {
    ["webhook", "tally", "app"].map(|table| {
        db.query_row(&format!("SELECT count(*) FROM {table}"), (), |row| row.get(0)).unwrap()
    })
}

#[tokio::test]
async fn a_webhook_is_pruned_when_it_does_not_exist_and_has_no_delivery() {
    let world = World::new().restart_forgetful();
    for name in ["gone", "here", "waits"] {
        world.accept(name).await;
    }
    let taken = world.take_at_most(2, NOW).await.leased;
    for leased in taken {
        world.store.settle(leased.lease, attempted(1), Next::Succeeded).await.unwrap();
    }
    while world.list(Filter::default()).await.len() > 1 {
        world.take_at_most(0, NOW).await;
        tokio::task::yield_now().await;
    }
    prune(&world, &["here"]).await;
    let mut names: Vec<_> = world.store.tallies().await.unwrap();
    names.sort_by_key(|(webhook, _)| webhook.name.clone());
    let tallies: Vec<_> = names
        .iter()
        .map(|(webhook, tally)| (&*webhook.name, tally.succeeded, tally.pending))
        .collect();
    assert_eq!(tallies, [("here", 1, 0), ("waits", 0, 1)]);
    let mut left = [0; 3];
    world.restart_with(|db| left = rows(db));
    assert_eq!(left, [2, 1, 1]);
}

#[tokio::test]
async fn thousands_that_come_and_go_leave_nothing_and_a_key_that_is_used_again_begins_at_zero() {
    let world = World::new().restart_forgetful();
    for round in 0..3 {
        for number in 0..700 {
            world.accept(&format!("hook-{number}")).await;
            if number % 100 == 99 {
                deliver_all(&world).await;
            }
        }
        prune(&world, &[]).await;
        let tallies = world.store.tallies().await.unwrap();
        assert!(tallies.is_empty(), "round {round}: {tallies:?}");
    }
    world.accept("new").await;
    let tallies = world.store.tallies().await.unwrap();
    assert_eq!((tallies.len(), tallies[0].1.succeeded, tallies[0].1.pending), (1, 0, 1));
    let mut left = [0; 3];
    world.restart_with(|db| left = rows(db));
    assert_eq!(left, [1, 0, 1]);
}

#[tokio::test]
async fn a_route_and_the_secrets_in_it_do_not_outlive_its_webhook() {
    let world = World::new();
    let route = world.route("hook");
    let weak = Arc::downgrade(&route);
    let event = NewEvent { route, ..world.event("hook", b"{}") };
    assert_ne!(event.id, Uuid::nil());
    world.store.accept(event).await.unwrap();
    // Its thread lets go of the event when it has answered; what comes after that is answered later.
    world.take(NOW).await;
    assert!(weak.upgrade().is_none());
}
