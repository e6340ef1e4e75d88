//! Several replicas on one database: what one promises, all of them keep.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::AsyncMessage;
use uuid::Uuid;
use webhook_operator::moment::Moment;
use webhook_operator::store::{
    Accepted, Filter, HistoryScope, Leased, NewEvent, Next, Settled, Store, Take, Taken,
};

use super::PostgresEngine;
use crate::store::world::{LEASE, MANY, NOW, World, attempted, failed};

/// How long anything may take that takes milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A replica, and another one on the same database.
struct Two {
    one: World<PostgresEngine>,
    other: Arc<dyn Store>,
}

impl Two {
    async fn new() -> Self {
        let one = World::of(PostgresEngine::new().await);
        let other = one.engine.replica(&one.settings, &one.clock);
        Self { one, other }
    }

    /// Stores an event at the other replica.
    async fn accept_at_other(&self, webhook: &str) -> Uuid {
        let event = self.one.event(webhook, b"{}");
        let id = self.other.ids().next(NOW);
        self.other.accept(NewEvent { id, ..event }).await.unwrap();
        id
    }

    async fn take_at_other(&self, now: Moment) -> Taken {
        take(&self.other, self.one.app, MANY, now).await
    }

    /// The session of the first replica ends, as if it were cut off.
    async fn cut_off(&self) {
        let end = "UPDATE replica SET expires = clock_timestamp() - interval '1 s'
            WHERE key = (SELECT min(key) FROM replica)";
        assert_eq!(self.one.engine.client().await.execute(end, &[]).await.unwrap(), 1);
    }
}

async fn take(
    store: &Arc<dyn Store>,
    app: webhook_operator::routes::AppId,
    concurrency: usize,
    now: Moment,
) -> Taken {
    store.take(Take { app, most: 100, concurrency, now, lease: LEASE }).await.unwrap()
}

fn ids(leased: &[Leased]) -> Vec<Uuid> {
    leased.iter().map(|leased| leased.lease.delivery).collect()
}

#[tokio::test]
async fn deliveries_of_a_fifo_webhook_are_in_the_order_of_the_database_whatever_the_ids_say() {
    let two = Two::new().await;
    // The clock of the other replica is an hour behind: its ids are before all others.
    let mut stored = Vec::new();
    for number in 0..6 {
        if number % 2 == 0 {
            stored.push(two.one.accept("fifo").await);
        } else {
            let now = NOW - Duration::from_secs(3600);
            let id = webhook_operator::store::Ids::default().next(now);
            let event = NewEvent { id, now, ..two.one.event("fifo", b"{}") };
            two.other.accept(event).await.unwrap();
            stored.push(id);
        }
    }
    let mut delivered = Vec::new();
    // When the one before has ended.
    let later = NOW + Duration::from_secs(1);
    for number in 0..6 {
        let mut taken = two.one.take(later).await.leased;
        let head = match number % 2 {
            0 => taken.pop().unwrap(),
            _ => {
                two.one.store.settle(taken[0].lease, failed(1), Next::Retry(later)).await.unwrap();
                two.take_at_other(later).await.leased.pop().unwrap()
            }
        };
        assert!(two.take_at_other(later).await.leased.is_empty(), "the head alone is due");
        let settled = two.other.settle(head.lease, attempted(head.attempt), Next::Succeeded).await;
        assert_eq!(settled, Ok(Settled::Recorded), "any replica records an attempt");
        delivered.push(head.lease.delivery);
    }
    assert_eq!(delivered, stored);
}

#[tokio::test]
async fn copies_that_come_to_both_at_once_are_one_event() {
    let two = Two::new().await;
    let copies = (0..100).map(|_| two.one.copy("a", 1, Duration::from_secs(60), NOW));
    let accept = |(number, copy)| match number % 2 {
        0 => two.one.store.accept(copy),
        _ => two.other.accept(copy),
    };
    let answers: Vec<_> = copies.enumerate().map(accept).collect();
    let (mut stored, mut duplicates) = (0, Vec::new());
    for answer in answers {
        match answer.await.unwrap() {
            Accepted::Stored => stored += 1,
            Accepted::Duplicate(first) => duplicates.push(first),
            Accepted::Replayed(_) | Accepted::Refused => panic!("it is under way"),
        }
    }
    assert_eq!((stored, duplicates.len()), (1, 99));
    let listed = two.one.list(Filter::default()).await;
    assert!(listed.len() == 1 && duplicates.iter().all(|first| *first == listed[0].id));
}

#[tokio::test]
async fn an_app_has_no_more_leases_than_its_concurrency_at_all_replicas_together() {
    let two = Two::new().await;
    for _ in 0..10 {
        two.one.accept("a").await;
    }
    let app = two.one.app;
    let first = take(&two.one.store, app, 3, NOW).await;
    assert_eq!(first.leased.len(), 3);
    let blocked = take(&two.other, app, 3, NOW).await;
    assert!(blocked.leased.is_empty());
    assert!(blocked.next_due.is_some_and(|due| due > NOW), "it is not asked for in vain at once");
    let settle = two.one.store.settle(first.leased[0].lease, attempted(1), Next::Succeeded);
    settle.await.unwrap();
    assert_eq!(take(&two.other, app, 3, NOW).await.leased.len(), 1);
}

#[tokio::test]
async fn takes_at_both_at_once_lease_each_delivery_once() {
    let two = Two::new().await;
    for _ in 0..40 {
        two.one.accept("a").await;
    }
    let app = two.one.app;
    let take_some = |number: usize| {
        let store = [&two.one.store, &two.other][number % 2];
        store.take(Take { app, most: 3, concurrency: MANY, now: NOW, lease: LEASE })
    };
    let mut all = Vec::new();
    for taken in (0..20).map(take_some).collect::<Vec<_>>() {
        all.extend(ids(&taken.await.unwrap().leased));
    }
    assert_eq!(all.len(), 40);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 40);
}

#[tokio::test]
async fn what_a_replica_had_leased_that_was_cut_off_is_delivered_by_the_other() {
    let two = Two::new().await;
    let id = two.one.accept("a").await;
    let lost = two.one.take_one(NOW).await;
    assert!(two.take_at_other(NOW).await.leased.is_empty(), "it is leased");
    // A clock that is ahead does not end the leases of others.
    assert!(two.take_at_other(NOW + LEASE).await.leased.is_empty(), "it is still leased");
    two.cut_off().await;
    let taken = two.take_at_other(NOW).await.leased;
    assert_eq!(ids(&taken), [id]);
    let late = two.one.store.settle(lost.lease, attempted(1), Next::Succeeded).await;
    assert_eq!(late, Ok(Settled::Stale));
    let settled = two.other.settle(taken[0].lease, attempted(1), Next::Succeeded).await;
    assert_eq!(settled, Ok(Settled::Recorded));
}

#[tokio::test]
async fn a_replica_that_was_cut_off_gets_no_lease_before_it_has_a_new_session() {
    let two = Two::new().await;
    two.one.accept("a").await;
    two.cut_off().await;
    // It finds out with its next heartbeat.
    let mut leased = two.one.take(NOW).await.leased;
    let other = two.take_at_other(NOW).await.leased;
    assert!(leased.is_empty() || other.is_empty(), "two have it");
    two.one.engine.client().await.execute("DELETE FROM lease", &[]).await.unwrap();
    let again = async {
        while leased.is_empty() {
            leased = two.one.take(NOW).await.leased;
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.unwrap();
}

#[tokio::test]
async fn a_replica_that_ends_leaves_what_it_had_leased_to_the_other_at_once() {
    let two = Two::new().await;
    let id = two.one.accept("a").await;
    two.one.take_one(NOW).await;
    let Two { one, other } = two;
    let World { store, app, engine, .. } = one;
    drop(store);
    assert_eq!(ids(&take(&other, app, MANY, NOW).await.leased), [id]);
    drop(engine);
}

#[tokio::test]
async fn a_replica_learns_of_what_another_one_has_stored() {
    let two = Two::new().await;
    two.accept_at_other("a").await;
    let due = tokio::time::timeout(PATIENCE, two.one.due_apps()).await.unwrap();
    assert_eq!(due.iter().map(|(app, _)| *app).collect::<Vec<_>>(), [two.one.app]);
}

#[tokio::test]
async fn a_replica_tells_others_of_apps_with_due_deliveries() {
    let two = Two::new().await;
    let (client, mut connection) = two.one.engine.connection().await;
    let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(notification) = message {
                let _ = sender.send(notification.payload().to_owned());
            }
        }
    });
    client.batch_execute("LISTEN webhook_operator_public").await.unwrap();
    let uuid = two.one.app.uuid.simple().to_string();
    // It knows of the other replica after its next heartbeat.
    let telling = async {
        loop {
            two.one.accept("a").await;
            tokio::select! {
                payload = told.recv() => break assert!(payload.unwrap().contains(&uuid)),
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, telling).await.unwrap();
}

#[tokio::test]
async fn any_replica_shows_and_replays_the_deliveries_of_all() {
    let two = Two::new().await;
    assert_eq!(two.other.scope(), HistoryScope::AllReplicas);
    let id = two.one.accept("a").await;
    two.one.deliver(1).await;
    assert_eq!(two.other.list(Filter::default(), None, 9).await.unwrap()[0].id, id);
    assert!(two.other.show(id).await.unwrap().is_some());
    let tallies = two.other.tallies().await.unwrap();
    assert_eq!((tallies[0].1.succeeded, tallies[0].1.pending), (1, 0));
    let replay = two.other.replay(id, NOW).await.unwrap().unwrap();
    assert_eq!(two.one.take_one(NOW).await.lease.delivery, replay);
}

/// The transactions that store and settle lock the webhook first. Without that, one of them does not
/// see what the other one does, and the line stops or has two heads.
#[tokio::test]
async fn a_fifo_webhook_has_one_head_whatever_is_stored_and_settled_at_once() {
    let two = Two::new().await;
    let watcher = two.one.engine.client().await;
    let heads = "SELECT count(*) FILTER (WHERE state = 0), count(*) FROM delivery WHERE state < 2";
    let check_heads = async |undelivered: i64| {
        let row = watcher.query_one(heads, &[]).await.unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (1, undelivered));
    };
    let later = NOW + Duration::from_secs(1);
    let event = || two.one.event("fifo", b"{}");
    for _ in 0..40 {
        let (one, other) = tokio::join!(two.one.store.accept(event()), two.other.accept(event()));
        assert!(one.is_ok() && other.is_ok());
        check_heads(2).await;
        let head = two.one.take_one(later).await;
        two.other.settle(head.lease, attempted(1), Next::Succeeded).await.unwrap();
        // The last one ends while another one comes.
        let last = two.one.take_one(later).await;
        let (settled, stored) = tokio::join!(
            two.other.settle(last.lease, attempted(1), Next::Succeeded),
            two.one.store.accept(event())
        );
        assert!(settled == Ok(Settled::Recorded) && stored == Ok(Accepted::Stored));
        check_heads(1).await;
        let last = two.one.take_one(later).await;
        two.other.settle(last.lease, attempted(1), Next::Succeeded).await.unwrap();
    }
}
