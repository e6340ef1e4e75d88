//! What is kept of webhooks that were deleted ends with their deliveries.

use std::sync::Arc;

use webhook_operator::store::{Filter, Next, StoredWebhook};

use crate::store::engines::on_durable_engines;
use crate::store::world::{NOW, World, attempted};

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

async fn a_webhook_is_pruned_when_it_does_not_exist_and_has_no_delivery(world: World) {
    let world = world.restart_forgetful();
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
    assert_eq!(world.stored_rows(), [2, 1, 1]);
}

async fn thousands_that_come_and_go_leave_nothing_and_a_key_that_is_used_again_begins_at_zero(
    world: World,
) {
    let world = world.restart_forgetful();
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
    assert_eq!(world.stored_rows(), [1, 0, 1]);
}

on_durable_engines![
    a_webhook_is_pruned_when_it_does_not_exist_and_has_no_delivery,
    thousands_that_come_and_go_leave_nothing_and_a_key_that_is_used_again_begins_at_zero,
];
