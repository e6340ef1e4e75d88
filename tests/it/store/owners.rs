//! What is stored belongs to a namespace, and never moves to another one.

use std::sync::Arc;

use uuid::Uuid;
use webhook_operator::routes::{AppId, Route};
use webhook_operator::store::{DeadReason, DeliveryState, Filter, NewEvent, Owner, Store, Take};

use super::world::{LEASE, NOW, TO_VERSION_2, World};

const OTHER: &str = "team-b";

fn foreign(route: &Route) -> Arc<Route> {
    World::elsewhere(route, OTHER)
}

fn of(namespace: &str) -> Filter {
    Filter { namespace: Some(namespace.into()), ..Filter::default() }
}

#[tokio::test]
async fn two_namespaces_under_one_uuid_share_neither_deliveries_nor_history() {
    let world = World::new();
    let mine = world.accept("hook").await;
    let route = foreign(&world.route("hook"));
    let theirs = NewEvent { route: route.clone(), ..world.event("hook", b"{}") };
    let (their_id, foreign_app) = (theirs.id, route.app.id);
    world.store.accept(theirs).await.unwrap();

    let take = |app| Take { app, most: 100, now: NOW, lease: LEASE };
    let leased = async |app| {
        let taken = world.store.take(take(app)).await.unwrap();
        taken.leased.iter().map(|leased| leased.event).collect::<Vec<_>>()
    };
    assert_eq!(leased(world.app).await, [mine]);
    assert_eq!(leased(foreign_app).await, [their_id]);

    let listed = async |namespace| {
        let listed = world.list(of(namespace)).await;
        listed.iter().map(|summary| (summary.id, summary.webhook.name.clone())).collect::<Vec<_>>()
    };
    assert_eq!(listed("team-a").await, [(mine, "hook".into())]);
    assert_eq!(listed(OTHER).await, [(their_id, "stolen".into())]);

    // Giving up what one of them has leaves the other's alone.
    assert_eq!(world.store.give_up(world.app, DeadReason::AppDeleted, NOW).await, Ok(1));
    assert_eq!(world.summary(mine).await.state, DeliveryState::Dead);
    assert_eq!(world.summary(their_id).await.state, DeliveryState::Pending);
}

#[tokio::test]
async fn a_duplicate_key_of_one_namespace_is_none_of_another() {
    let world = World::new();
    let window = std::time::Duration::from_secs(60);
    let first = world.copy("hook", 1, window, NOW);
    world.store.accept(first).await.unwrap();
    let route = foreign(&world.route("hook"));
    let second = NewEvent { route, ..world.copy("hook", 1, window, NOW) };
    let accepted = world.store.accept(second).await.unwrap();
    assert_eq!(accepted, webhook_operator::store::Accepted::Stored);
}

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
    let take = |app| Take { app, most: 100, now: NOW, lease: LEASE };
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
async fn owners_outlive_the_process_and_the_last_record_counts() {
    let world = World::new();
    let owner =
        |uuid, namespace: &str| Owner { uuid: Uuid::from_u128(uuid), namespace: namespace.into() };
    world.store.record_owners(vec![owner(1, "a"), owner(2, "a")], NOW).await.unwrap();
    world.store.record_owners(vec![owner(2, "b")], NOW).await.unwrap();
    let world = world.restart_with(|_| ());
    let mut owners = world.store.owners().await.unwrap();
    owners.sort();
    assert_eq!(owners, [owner(1, "a"), owner(2, "b")]);
}
