//! A database that is away, loses its connections, or does not keep what it acknowledges.

use std::time::Duration;

use webhook_operator::store::postgres::{NotDurable, OpenError, Options, Postgres};
use webhook_operator::store::{Accepted, Filter, Health, StoreError};

use super::PostgresEngine;
use crate::store::engine::Settings;
use crate::store::world::{NOW, World};
use crate::support::postgres::Server;

/// How long anything may take that takes milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Accepts events until one is stored. Fails if it takes too long, or with an error that does not
/// pass by itself.
async fn accept_again(world: &World<PostgresEngine>) {
    let accepting = async {
        loop {
            match world.store.accept(world.event("a", b"{}")).await {
                Ok(accepted) => break assert_eq!(accepted, Accepted::Stored),
                Err(StoreError::Unavailable(_) | StoreError::Busy) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(other) => panic!("{other}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, accepting).await.unwrap();
}

async fn await_health(world: &World<PostgresEngine>, is_meant: fn(&Health) -> bool) {
    let mut health = world.store.health();
    tokio::time::timeout(PATIENCE, health.wait_for(is_meant)).await.unwrap().unwrap();
}

#[tokio::test]
async fn of_events_whose_connections_are_killed_those_that_were_acknowledged_are_stored() {
    let world = World::of(PostgresEngine::new().await);
    accept_again(&world).await;
    let admin = world.engine.client().await;
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
          AND query LIKE ANY (ARRAY['COMMIT%', '%INSERT%', '%duplicate%'])";
    let (mut stored, mut refused) = (Vec::new(), 0);
    for _ in 0..8 {
        let events: Vec<_> = (0..100).map(|_| world.event("fifo", b"{}")).collect();
        let ids: Vec<_> = events.iter().map(|event| event.id).collect();
        let answers: Vec<_> = events.into_iter().map(|event| world.store.accept(event)).collect();
        admin.query(kill, &[]).await.unwrap();
        for (id, answer) in ids.into_iter().zip(answers) {
            match answer.await {
                Ok(_) => stored.push(id),
                Err(StoreError::Unavailable(_)) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert!(refused > 0, "no connection was killed in the middle");
    accept_again(&world).await;
    let listed = world.list(Filter::default()).await;
    let is_listed = |id| listed.iter().any(|line| line.id == id);
    assert!(stored.into_iter().all(is_listed));
}

#[tokio::test]
async fn a_database_that_was_away_is_used_again_and_what_was_stored_is_delivered() {
    let mut server = Server::start(&[]);
    let world = World::of(PostgresEngine::on(&server).await);
    accept_again(&world).await;
    let leased = world.take_one(NOW).await;
    server.stop();
    let refused = world.store.accept(world.event("a", b"{}")).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    let listed = world.store.list(Filter::default(), None, 9).await;
    assert!(matches!(listed, Err(StoreError::Unavailable(_))), "{listed:?}");
    await_health(&world, |health| matches!(health, Health::Unavailable(_))).await;
    server.resume();
    await_health(&world, |health| *health == Health::Serving).await;
    accept_again(&world).await;
    // Its lease may have ended with the session: then it is leased again.
    let attempt = crate::store::world::attempted(1);
    let next = webhook_operator::store::Next::Succeeded;
    let settling = async {
        while let Err(error) = world.store.settle(leased.lease, attempt.clone(), next).await {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, settling).await.unwrap();
    assert_eq!(world.list(Filter::default()).await.len(), 2);
}

/// As after a failover to a server that is still a standby.
#[tokio::test]
async fn a_database_that_becomes_read_only_is_unavailable_until_it_accepts_writes() {
    let world = World::of(PostgresEngine::new().await);
    let admin = world.engine.client().await;
    let set = async |value: &str| {
        let set = format!(
            "DO $$ BEGIN EXECUTE format(
               'ALTER DATABASE %I SET default_transaction_read_only = {value}',
               current_database()); END $$"
        );
        admin.batch_execute("SET default_transaction_read_only = off").await.unwrap();
        admin.batch_execute(&set).await.unwrap();
        let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        admin.query(kill, &[]).await.unwrap();
    };
    set("on").await;
    await_health(&world, |health| matches!(health, Health::Unavailable(_))).await;
    let refused = world.store.accept(world.event("a", b"{}")).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    set("off").await;
    accept_again(&world).await;
    await_health(&world, |health| *health == Health::Serving).await;
}

/// The commit is made, but the standby does not have it. The database answers with a warning.
#[tokio::test]
async fn a_commit_that_did_not_reach_the_standby_is_not_acknowledged() {
    let server = Server::start(&["synchronous_standby_names = ''"]);
    let world = World::of(PostgresEngine::on(&server).await);
    accept_again(&world).await;
    let admin = world.engine.client().await;
    admin.batch_execute("ALTER SYSTEM SET synchronous_standby_names = 'missing'").await.unwrap();
    admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let mut accepting = world.store.accept(world.event("a", b"{}"));
    let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    let refused = tokio::time::timeout(PATIENCE, async {
        loop {
            tokio::select! {
                accepted = &mut accepting => break accepted,
                () = tokio::time::sleep(Duration::from_millis(20)) => {
                    admin.query(cancel, &[]).await.unwrap();
                }
            }
        }
    });
    let refused = refused.await.unwrap();
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    admin.batch_execute("ALTER SYSTEM SET synchronous_standby_names = ''").await.unwrap();
    admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    accept_again(&world).await;
}

async fn open(options: Options) -> Result<(), OpenError> {
    let opening = tokio::task::spawn_blocking(move || Postgres::open(options, || NOW));
    opening.await.unwrap().map(drop)
}

#[tokio::test]
async fn a_server_that_may_lose_what_it_acknowledges_is_refused() {
    let engine = PostgresEngine::new().await;
    let admin = engine.client().await;
    let options = engine.options(&Settings::default());
    let standby = Options { requires_standby: true, ..options.clone() };
    assert!(matches!(open(standby).await, Err(OpenError::NoStandby)));
    let early = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off',
        current_database()); END $$";
    admin.batch_execute(early).await.unwrap();
    let refused = open(options).await.unwrap_err();
    assert!(matches!(refused, OpenError::NotDurable(NotDurable::SynchronousCommit)), "{refused}");

    let server = Server::start(&["fsync = off"]);
    let engine = PostgresEngine::on(&server).await;
    let refused = open(engine.options(&Settings::default())).await.unwrap_err();
    assert!(matches!(refused, OpenError::NotDurable(NotDurable::Fsync)), "{refused}");
}

#[tokio::test]
async fn a_schema_of_a_newer_version_or_of_another_program_is_refused_and_not_changed() {
    let engine = PostgresEngine::new().await;
    let admin = engine.client().await;
    admin.batch_execute("CREATE TABLE event (mine text)").await.unwrap();
    let refused = open(engine.options(&Settings::default())).await.unwrap_err();
    assert!(matches!(refused, OpenError::Foreign), "{refused}");
    assert!(admin.query("SELECT mine FROM event", &[]).await.is_ok());

    admin.batch_execute("DROP TABLE event").await.unwrap();
    open(engine.options(&Settings::default())).await.unwrap();
    admin.batch_execute("UPDATE schema_version SET version = 99").await.unwrap();
    let refused = open(engine.options(&Settings::default())).await.unwrap_err();
    assert!(matches!(refused, OpenError::Newer { found: 99, .. }), "{refused}");
}

#[tokio::test]
async fn replicas_that_start_at_once_make_the_schema_once() {
    let engine = PostgresEngine::new().await;
    let starts: Vec<_> =
        (0..4).map(|_| tokio::spawn(open(engine.options(&Settings::default())))).collect();
    for start in starts {
        start.await.unwrap().unwrap();
    }
    let admin = engine.client().await;
    let versions = admin.query("SELECT version FROM schema_version", &[]).await.unwrap();
    assert_eq!(versions.len(), 1);
}
