//! The rights that docs/postgres.md names are enough.

use std::sync::Arc;

use webhook_operator::store::postgres::Options;
use webhook_operator::store::{Accepted, Filter};

use super::PostgresEngine;
use crate::store::engine::{Engine, Settings, TestClock};
use crate::store::world::{NOW, World};

/// An engine whose tables were made by the superuser, and whose user may only use them.
struct Limited(PostgresEngine);

impl Engine for Limited {
    fn open(
        &mut self,
        settings: &Settings,
        clock: &TestClock,
    ) -> Arc<dyn webhook_operator::store::Store> {
        let options = self.0.options(settings);
        let url = self.0.url.replace("//tests@", "//limited@").parse().unwrap();
        let clock = clock.clone();
        let options = Options { url, ..options };
        Arc::new(super::Postgres::open(options, move || clock.now()).unwrap())
    }
}

#[tokio::test]
async fn a_role_that_may_only_use_the_tables_can_run_the_operator() {
    let engine = PostgresEngine::new().await;
    drop(engine.replica(&Settings::default(), &TestClock::at(NOW)));
    let admin = engine.client().await;
    let docs = include_str!("../../../../docs/postgres.md");
    let grants = docs.lines().filter(|line| line.starts_with("GRANT "));
    let grants: Vec<_> = grants
        .map(|line| {
            line.replace("SCHEMA hooks", "SCHEMA public").replace("hooks_operator", "limited")
        })
        .collect();
    assert_eq!(grants.len(), 3);
    admin.batch_execute("CREATE ROLE limited LOGIN").await.unwrap();
    admin.batch_execute(&grants.join("\n")).await.unwrap();

    let world = World::of(Limited(engine));
    let copy = || world.copy("fifo", 1, std::time::Duration::from_secs(60), NOW);
    assert_eq!(world.store.accept(copy()).await, Ok(Accepted::Stored));
    assert!(matches!(world.store.accept(copy()).await, Ok(Accepted::Duplicate(_))));
    assert_eq!(world.deliver(1).await, 1);
    let id = world.list(Filter::default()).await[0].id;
    assert!(world.store.replay(id, NOW).await.unwrap().is_some());
    let given_up =
        world.store.give_up(world.app, webhook_operator::store::DeadReason::AppDeleted, NOW);
    assert_eq!(given_up.await, Ok(1));
    assert_eq!(world.store.prune_webhooks(Arc::new(|_| false)).await, Ok(false));
}
