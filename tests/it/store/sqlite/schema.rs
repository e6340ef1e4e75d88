//! Files of earlier schemas are brought up to date when they are opened.

use webhook_operator::routes::AppId;
use webhook_operator::store::{Next, Owner, Take};

use super::World;
use crate::store::clock::{HOUR, MINUTE, next_due, with_a_retry};
use crate::store::owners::OTHER;
use crate::store::world::{LEASE, NOW, attempted};

/// Makes of a file of the present schema one of version 4, which does not record the time.
pub const TO_VERSION_4: &str = "
    DROP TABLE clock;
    PRAGMA user_version = 4;";

/// Makes of a file of the present schema one of version 3, in which nothing is charged to apps.
pub const TO_VERSION_3: &str = "
    DROP TABLE clock;
    DROP INDEX delivery_ended;
    ALTER TABLE app DROP COLUMN stored_bytes;
    PRAGMA user_version = 3;";

/// Makes of a file of the present schema one of version 2, whose apps have no namespace.
pub const TO_VERSION_2: &str = "
    PRAGMA foreign_keys = OFF;
    DROP TABLE clock;
    DROP INDEX delivery_ended;
    CREATE TABLE old (key INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE) STRICT;
    INSERT INTO old SELECT key, uuid FROM app;
    DROP TABLE app;
    ALTER TABLE old RENAME TO app;
    DROP TABLE owner;
    PRAGMA user_version = 2;";

#[tokio::test]
async fn a_file_in_which_one_app_has_webhooks_of_two_namespaces_is_split() {
    let world = World::new();
    let mine = world.accept("hook").await;
    let world = world.restart_with(|db| {
        db.execute_batch(TO_VERSION_2).unwrap();
        db.execute_batch(
            "INSERT INTO webhook SELECT key + 1, app, zeroblob(16), 'team-b', 'other', 'theirs', action, props,
                ordering, retry FROM webhook;
            INSERT INTO event SELECT key + 1, tail, webhook + 1, form, content_type, headers, body FROM event;
            INSERT INTO delivery SELECT key + 1, tail, event + 1, generation, app, webhook + 1, state, attempts,
                due, finished, reason, last_status FROM delivery;",
        )
        .unwrap();
    });
    let foreign_app = AppId::new(OTHER, world.app.uuid);
    let take = |app| Take { app, most: 100, concurrency: 100, now: NOW, lease: LEASE };
    let taken = world.store.take(take(world.app)).await.unwrap().leased;
    assert_eq!(taken.iter().map(|leased| leased.event).collect::<Vec<_>>(), [mine]);
    let taken = world.store.take(take(foreign_app)).await.unwrap().leased;
    let [leased] = &taken[..] else { panic!("{taken:?}") };
    assert_eq!((&*leased.webhook.namespace, &*leased.webhook.name), (OTHER, "theirs"));
    assert_eq!(leased.webhook.app, foreign_app);
    let owners = world.store.owners().await.unwrap();
    assert_eq!(owners, [Owner { uuid: world.app.uuid, namespace: "team-a".into() }]);
    // Both go on.
    world.accept("hook").await;
}

#[tokio::test]
async fn a_file_that_does_not_record_the_time_has_the_time_of_its_latest_delivery() {
    let world = with_a_retry(World::new()).await;
    let world = world.restart_with(|db| db.execute_batch(TO_VERSION_4).unwrap());
    let back = NOW - HOUR;
    let world = world.restart_at(NOW - HOUR);
    assert_eq!(next_due(&world, back).await, Some(back + 10 * MINUTE));
}

#[tokio::test]
async fn what_succeeded_before_it_was_counted_is_counted_when_a_file_is_brought_up_to_date() {
    let world = World::new();
    world.accept("a").await;
    let leased = world.take_one(NOW).await;
    world.store.settle(leased.lease, attempted(1), Next::Succeeded).await.unwrap();
    let before = world.store.tallies().await.unwrap();
    let world = world.restart_with(|db| {
        db.execute_batch(TO_VERSION_2).unwrap();
        db.execute_batch("DROP TABLE tally; PRAGMA user_version = 1").unwrap();
    });
    let after = world.store.tallies().await.unwrap();
    assert_eq!(after, before);
    assert_eq!((after[0].1.succeeded, after[0].1.pending), (1, 0));
    assert_eq!(after[0].1.last, Some(NOW + std::time::Duration::from_millis(1)));
}
