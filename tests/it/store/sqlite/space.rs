//! Room.

use std::time::Duration;

use webhook_operator::store::{Accepted, Filter, Health, NewEvent, StoreError};

use super::World;
use crate::store::world::elsewhere;

#[tokio::test]
async fn what_has_ended_makes_room_and_what_has_not_is_never_touched() {
    let world = World::with(|options| options.max_bytes = 6 << 20);
    let body = vec![b'x'; 100 << 10];
    let namespaces = ["team-a", "team-b", "team-c"];
    let route = |namespace| elsewhere(&world.route("a"), namespace);
    let mut health = world.store.health();
    let mut undelivered = 0;
    // None of them holds more than its share, and together they fill the store.
    'full: loop {
        for namespace in namespaces {
            let event = NewEvent { route: route(namespace), ..world.event("a", &body) };
            match world.store.accept(event).await {
                Ok(_) => undelivered += 1,
                Err(StoreError::Full) => break 'full,
                Err(StoreError::AppFull) => {}
                Err(error) => panic!("{error}"),
            }
        }
        // The room is measured twice a second.
        if *health.borrow() == Health::Serving && undelivered >= 66 {
            let full = health.wait_for(|health| *health == Health::Full);
            tokio::time::timeout(Duration::from_secs(10), full).await.unwrap().unwrap();
        }
    }
    assert!(undelivered >= 40, "{undelivered}");
    assert_eq!(world.list(Filter::default()).await.len(), undelivered);

    while world.deliver(10).await > 0 {}
    let serving = health.wait_for(|health| *health == Health::Serving);
    tokio::time::timeout(Duration::from_secs(10), serving).await.unwrap().unwrap();
    assert_eq!(world.store.accept(world.event("a", &body)).await, Ok(Accepted::Stored));
    assert!(world.store.metrics().bytes <= 6 << 20);
}
