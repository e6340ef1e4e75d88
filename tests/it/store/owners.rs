//! What is stored belongs to a namespace, and never moves to another one.

use std::sync::Arc;

use uuid::Uuid;
use webhook_operator::routes::Route;
use webhook_operator::store::{DeadReason, DeliveryState, Filter, NewEvent, Owner, Take};

use crate::store::engines::on_every_engine;
use crate::store::world::{LEASE, MANY, NOW, World, elsewhere};

pub const OTHER: &str = "team-b";

fn foreign(route: &Route) -> Arc<Route> {
    elsewhere(route, OTHER)
}

fn of(namespace: &str) -> Filter {
    Filter { namespace: Some(namespace.into()), ..Filter::default() }
}

async fn two_namespaces_under_one_uuid_share_neither_deliveries_nor_history(world: World) {
    let mine = world.accept("hook").await;
    let route = foreign(&world.route("hook"));
    let theirs = NewEvent { route: route.clone(), ..world.event("hook", b"{}") };
    let (their_id, foreign_app) = (theirs.id, route.app.id);
    world.store.accept(theirs).await.unwrap();

    let take = |app| Take { app, most: 100, concurrency: MANY, now: NOW, lease: LEASE };
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

async fn a_duplicate_key_of_one_namespace_is_none_of_another(world: World) {
    let window = std::time::Duration::from_secs(60);
    let first = world.copy("hook", 1, window, NOW);
    world.store.accept(first).await.unwrap();
    let route = foreign(&world.route("hook"));
    let second = NewEvent { route, ..world.copy("hook", 1, window, NOW) };
    let accepted = world.store.accept(second).await.unwrap();
    assert_eq!(accepted, webhook_operator::store::Accepted::Stored);
}

async fn owners_outlive_the_process_and_the_last_record_counts(world: World) {
    let owner =
        |uuid, namespace: &str| Owner { uuid: Uuid::from_u128(uuid), namespace: namespace.into() };
    world.store.record_owners(vec![owner(1, "a"), owner(2, "a")], NOW).await.unwrap();
    world.store.record_owners(vec![owner(2, "b")], NOW).await.unwrap();
    let world = world.restart();
    let mut owners = world.store.owners().await.unwrap();
    owners.sort();
    assert_eq!(owners, [owner(1, "a"), owner(2, "b")]);
}

on_every_engine![
    two_namespaces_under_one_uuid_share_neither_deliveries_nor_history,
    a_duplicate_key_of_one_namespace_is_none_of_another,
    owners_outlive_the_process_and_the_last_record_counts,
];
