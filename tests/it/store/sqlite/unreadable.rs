//! Rows that cannot be read: each is its own delivery's end, and nobody else's.

use webhook_operator::store::{DeadReason, DeliveryState, Filter, Health, Next, Owner};

use super::World;
use crate::store::world::{NOW, attempted};

/// Three webhooks with a delivery each, of which the first one's is changed by this SQL.
async fn damaged(sql: &'static str) -> (World, Vec<uuid::Uuid>) {
    let world = World::new();
    let mut ids = Vec::new();
    for name in ["fifo-bad", "fifo-bad", "b", "c"] {
        ids.push(world.accept(name).await);
    }
    (world.restart_with(|db| db.execute_batch(sql).unwrap()), ids)
}

async fn events(world: &World) -> Vec<uuid::Uuid> {
    let mut events: Vec<_> =
        world.take(NOW).await.leased.into_iter().map(|leased| leased.event).collect();
    events.sort();
    events
}

fn is_serving(world: &World) -> bool {
    *world.store.health().borrow() == Health::Serving
}

#[tokio::test]
async fn a_delivery_whose_event_cannot_be_read_ends_as_dead_and_its_queue_goes_on() {
    for sql in [
        "UPDATE event SET form = 9 WHERE key = (SELECT min(key) FROM event)",
        "DELETE FROM event WHERE key = (SELECT min(key) FROM event)",
        "UPDATE delivery SET due = -1 WHERE key = (SELECT min(key) FROM delivery)",
    ] {
        let (world, ids) = damaged(sql).await;
        assert_eq!(events(&world).await, ids[2..], "{sql}");
        // The one behind it in the Fifo webhook is next.
        assert_eq!(events(&world).await, ids[1..2], "{sql}");
        assert!(events(&world).await.is_empty(), "{sql}");
        let dead = Filter { state: Some(DeliveryState::Dead), ..Filter::default() };
        let dead = world.list(dead).await;
        let reasons: Vec<_> = dead.iter().map(|dead| (dead.id, dead.reason)).collect();
        let is_listed = !sql.starts_with("DELETE");
        let expected = is_listed.then_some((ids[0], Some(DeadReason::Unreadable)));
        assert_eq!(reasons, Vec::from_iter(expected), "{sql}");
        assert!(is_serving(&world));
        world.accept("b").await;
    }
}

#[tokio::test]
async fn a_webhook_that_cannot_be_read_is_nobody_elses_outage() {
    let sql = "UPDATE webhook SET uuid = x'00' WHERE key = (SELECT min(key) FROM webhook)";
    let (world, ids) = damaged(sql).await;
    assert_eq!(events(&world).await, ids[2..]);
    // A page is as long as it was asked to be.
    let page = world.store.list(Filter::default(), None, 2).await.unwrap();
    assert_eq!(page.iter().map(|summary| summary.id).collect::<Vec<_>>(), [ids[3], ids[2]]);
    assert_eq!(world.list(Filter::default()).await.len(), 2);
    assert_eq!(world.store.tallies().await.unwrap().len(), 2);
    assert!(is_serving(&world));
    world.accept("b").await;
}

#[tokio::test]
async fn times_that_cannot_be_read_do_not_stop_the_store() {
    let world = World::new();
    let ended = world.accept("a").await;
    let leased = world.take_one(NOW).await;
    world.store.settle(leased.lease, attempted(1), Next::Succeeded).await.unwrap();
    let window = std::time::Duration::from_secs(60);
    world.store.accept(world.copy("a", 1, window, NOW)).await.unwrap();
    let world = world.restart_with(|db| {
        let sql = "UPDATE delivery SET finished = -1 WHERE finished IS NOT NULL;
            UPDATE duplicate SET until = -1";
        db.execute_batch(sql).unwrap();
    });
    // Housekeeping comes after the first command at the latest.
    for _ in 0..3 {
        world.accept("b").await;
    }
    assert_eq!(events(&world).await.len(), 4);
    assert!(is_serving(&world));
    assert!(world.list(Filter::default()).await.iter().all(|summary| summary.id != ended));
}

#[tokio::test]
async fn an_owner_and_an_app_that_cannot_be_read_are_skipped() {
    let world = World::new();
    let uuid = uuid::Uuid::from_u128(9);
    let owner = Owner { uuid, namespace: "team-b".into() };
    world.store.record_owners(vec![owner.clone()], NOW).await.unwrap();
    let world = world.restart_with(|db| {
        let sql = "INSERT INTO owner VALUES (x'00', 'team-c', 1);
            INSERT INTO app (namespace, uuid) VALUES ('team-c', x'00')";
        db.execute_batch(sql).unwrap();
    });
    assert_eq!(world.store.owners().await, Ok(vec![owner]));
    world.accept("b").await;
    assert_eq!(events(&world).await.len(), 1);
}
