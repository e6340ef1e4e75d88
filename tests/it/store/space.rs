//! Retention and room.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use webhook_operator::moment::Moment;
use webhook_operator::store::sqlite::{Options, Sqlite};
use webhook_operator::store::{Accepted, Filter, Health, NewEvent, Next, Store, StoreError};

use super::world::{NOW, World, attempted};

async fn deliver(world: &World, most: usize) -> usize {
    let leased = world.take_at_most(most, NOW).await.leased;
    let count = leased.len();
    let settled = leased
        .into_iter()
        .map(|leased| world.store.settle(leased.lease, attempted(leased.attempt), Next::Succeeded));
    for settled in settled.collect::<Vec<_>>() {
        settled.await.unwrap();
    }
    count
}

#[tokio::test]
async fn what_has_ended_makes_room_and_what_has_not_is_never_touched() {
    let world = World::with(|options| options.max_bytes = 6 << 20);
    let body = vec![b'x'; 100 << 10];
    let namespaces = ["team-a", "team-b", "team-c"];
    let route = |namespace| World::elsewhere(&world.route("a"), namespace);
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

    while deliver(&world, 10).await > 0 {}
    let serving = health.wait_for(|health| *health == Health::Serving);
    tokio::time::timeout(Duration::from_secs(10), serving).await.unwrap().unwrap();
    assert_eq!(world.store.accept(world.event("a", &body)).await, Ok(Accepted::Stored));
    assert!(world.store.figures().bytes <= 6 << 20);
}

#[tokio::test]
async fn what_has_ended_is_forgotten_after_its_time_and_windows_after_theirs() {
    static CLOCK: AtomicU64 = AtomicU64::new(NOW.0);
    let clock = || Moment(CLOCK.load(Ordering::Relaxed));
    let mut world = World::new();
    let day = Duration::from_secs(24 * 3600);
    let options =
        Options { folder: world.folder.path().join("timed"), retention: day, max_bytes: 1 << 30 };
    world.store = Sqlite::open(&options, clock).unwrap();
    world.accept("a").await;
    deliver(&world, 1).await;
    let kept = world.accept("a").await;
    CLOCK.store((NOW + day + Duration::from_secs(60)).0, Ordering::Relaxed);
    // Anything wakes the writer, which then looks what is over.
    tokio::time::timeout(Duration::from_secs(10), async {
        while world.list(Filter::default()).await.len() > 1 {
            deliver(&world, 0).await;
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(world.list(Filter::default()).await[0].id, kept);
}
