//! Two replicas on one database that look like one store: operations go to them in turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::watch;
use uuid::Uuid;
use webhook_operator::moment::Moment;
use webhook_operator::routes::AppId;
use webhook_operator::store::{
    Accepted, Attempted, DeadReason, Detail, DueApps, Filter, Health, History, HistoryScope, Ids,
    Lease, NewEvent, Next, Owner, Queue, Replayed, Settled, Store, StoreFuture, StoreMetrics,
    StoredWebhook, Summary, Take, Taken, Tally, WebhookExists,
};

use super::PostgresEngine;
use crate::store::engine::{Engine, Settings, TestClock};

/// Two replicas on a database.
pub struct TwoReplicas(pub PostgresEngine);

impl Engine for TwoReplicas {
    fn open(&mut self, settings: &Settings, clock: &TestClock) -> Arc<dyn Store> {
        let replica = || self.0.replica(settings, clock);
        Arc::new(Turns { replicas: [replica(), replica()], next: AtomicUsize::new(0) })
    }
}

#[derive(Debug)]
struct Turns {
    replicas: [Arc<dyn Store>; 2],
    next: AtomicUsize,
}

impl Turns {
    fn next(&self) -> &dyn Store {
        &*self.replicas[self.next.fetch_add(1, Ordering::Relaxed) % 2]
    }

    /// Takes leases, tells of due apps and makes ids. A lease ends by the clock of its own replica
    /// alone.
    fn first(&self) -> &dyn Store {
        &*self.replicas[0]
    }
}

impl Queue for Turns {
    fn accept(&self, event: NewEvent) -> StoreFuture<Accepted> {
        self.next().accept(event)
    }

    fn take(&self, take: Take) -> StoreFuture<Taken> {
        self.first().take(take)
    }

    fn body(&self, event: Uuid) -> StoreFuture<Option<Bytes>> {
        self.next().body(event)
    }

    fn settle(&self, lease: Lease, attempted: Attempted, next: Next) -> StoreFuture<Settled> {
        self.next().settle(lease, attempted, next)
    }

    fn give_up(&self, app: AppId, reason: DeadReason, now: Moment) -> StoreFuture<usize> {
        self.next().give_up(app, reason, now)
    }

    fn owners(&self) -> StoreFuture<Vec<Owner>> {
        self.next().owners()
    }

    fn record_owners(&self, owners: Vec<Owner>, now: Moment) -> StoreFuture<()> {
        self.next().record_owners(owners, now)
    }

    fn prune_webhooks(&self, exists: WebhookExists) -> StoreFuture<bool> {
        self.next().prune_webhooks(exists)
    }

    fn due_apps(&self) -> Arc<DueApps> {
        self.first().due_apps()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.first().health()
    }

    fn ids(&self) -> &Ids {
        self.first().ids()
    }
}

impl History for Turns {
    fn scope(&self) -> HistoryScope {
        self.first().scope()
    }

    fn list(
        &self,
        filter: Filter,
        cursor: Option<Uuid>,
        limit: usize,
    ) -> StoreFuture<Vec<Summary>> {
        self.next().list(filter, cursor, limit)
    }

    fn show(&self, id: Uuid) -> StoreFuture<Option<Detail>> {
        self.next().show(id)
    }

    fn replay(&self, id: Uuid, now: Moment) -> StoreFuture<Option<Uuid>> {
        self.next().replay(id, now)
    }

    fn replay_all(
        &self,
        filter: Filter,
        cursor: Option<Uuid>,
        limit: usize,
        now: Moment,
    ) -> StoreFuture<Replayed> {
        // The ids of one replica are in the order of those of the model.
        self.first().replay_all(filter, cursor, limit, now)
    }

    fn tallies(&self) -> StoreFuture<Vec<(Arc<StoredWebhook>, Tally)>> {
        self.next().tallies()
    }

    fn metrics(&self) -> StoreMetrics {
        self.first().metrics()
    }
}
