//! A tenant fills its share of the store, and no more.

use std::time::Duration;

use webhook_operator::store::{Accepted, NewEvent, StoreError};

use super::PostgresEngine;
use crate::store::engine::Settings;
use crate::store::world::{World, elsewhere};

/// How long anything may take that takes milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// An app may have 24 KiB.
async fn world() -> World<PostgresEngine> {
    let settings = Settings { max_bytes: 64 << 10, ..Settings::default() };
    World::with_settings(PostgresEngine::new().await, settings)
}

async fn accept(world: &World<PostgresEngine>) -> Result<Accepted, StoreError> {
    world.store.accept(world.event("a", &[b'x'; 1500])).await
}

#[tokio::test]
async fn an_app_whose_events_are_undelivered_fills_its_share_and_leaves_the_rest_to_others() {
    let world = world().await;
    let filling = async {
        loop {
            match accept(&world).await {
                Ok(_) => {}
                refused => break assert_eq!(refused, Err(StoreError::AppFull)),
            }
            // The load is read after operations, at intervals.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, filling).await.unwrap();
    let route = elsewhere(&world.route("a"), "team-b");
    let theirs = NewEvent { route, ..world.event("a", b"{}") };
    assert_eq!(world.store.accept(theirs).await, Ok(Accepted::Stored));
}

#[tokio::test]
async fn finished_deliveries_of_an_app_make_room_for_its_events() {
    let world = world().await;
    let delivering = async {
        let mut stored = 0;
        // Three times its share.
        while stored < 40 {
            match accept(&world).await {
                Ok(_) => stored += 1,
                Err(StoreError::AppFull | StoreError::Full) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(other) => panic!("{other}"),
            }
            world.deliver(10).await;
        }
    };
    tokio::time::timeout(PATIENCE, delivering).await.unwrap();
}
