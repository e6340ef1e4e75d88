//! Counts the connections of a port per client, and selects connections to evict when few are left.
//!
//! One client (an IPv4 address, or an IPv6 /64) may hold a limited number. Near the limit of the
//! port, each new connection evicts one that has not sent a complete request: the longest waiting
//! one of the client that has the most of these. An attacker with many addresses thus evicts their
//! own connections first.
//!
//! The lock is taken when a connection begins, at its first request, and when it ends; never per
//! request.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};
use tokio::task::AbortHandle;

use crate::http::client_network;

/// The owner of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConnectionOwner {
    /// A trusted proxy, or a connection whose client the load balancer does not name (`None`). It
    /// serves many clients and has no limit.
    Proxy(Option<IpAddr>),
    /// One client, by its network.
    Client(IpAddr),
}

impl ConnectionOwner {
    /// The client with this address.
    pub fn client(address: IpAddr) -> Self {
        Self::Client(client_network(address.to_canonical()))
    }
}

/// Counts of connections that were not served.
#[derive(Debug, Default)]
pub struct ConnectionCounts {
    refused: AtomicU64,
    evicted: AtomicU64,
}

impl ConnectionCounts {
    /// Connections that were closed because their client reached its limit.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Connections without a complete request that were closed in favour of new ones.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }
}

/// The open connections of a port.
#[derive(Debug)]
pub struct Connections {
    /// The limit per client.
    share: usize,
    /// Above this number, waiting connections are evicted.
    scarce: usize,
    counts: Arc<ConnectionCounts>,
    table: Mutex<ConnectionTable>,
}

impl Connections {
    /// An empty table. `most` is the limit of the port, `share` that of one client.
    pub fn new(most: usize, share: usize, counts: Arc<ConnectionCounts>) -> Arc<Self> {
        Arc::new(Self { share, scarce: most - most / 4, counts, table: Mutex::default() })
    }

    /// Admits a connection, and evicts another if few are left; `None` if the client reached its
    /// limit.
    pub fn admit(self: &Arc<Self>, owner: ConnectionOwner) -> Option<Admitted> {
        let mut table = self.table();
        let Some(id) = table.add(owner, self.share) else {
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        if table.open > self.scarce {
            self.evict_one(&mut table);
        }
        drop(table);
        Some(Admitted { connections: Arc::clone(self), id, owner })
    }

    /// Evicts up to `number` waiting connections.
    pub fn evict(&self, number: usize) {
        let mut table = self.table();
        (0..number).for_each(|_| self.evict_one(&mut table));
    }

    /// Registers the task of a connection, so that an eviction can abort it.
    pub fn set_task(&self, id: u64, owner: ConnectionOwner, task: AbortHandle) {
        let mut table = self.table();
        // The connection may have ended or sent its first request in the meantime.
        let owned = table.owners.get_mut(&owner);
        if let Some(waiting) = owned.and_then(|owned| owned.waiting.get_mut(&id)) {
            *waiting = Some(task);
        }
    }

    fn evict_one(&self, table: &mut ConnectionTable) {
        let Some(task) = table.take_victim() else { return };
        self.counts.evicted.fetch_add(1, Ordering::Relaxed);
        // A connection without a task was just admitted by another thread; it ends by its timeout.
        if let Some(task) = task {
            task.abort();
        }
    }

    fn table(&self) -> MutexGuard<'_, ConnectionTable> {
        self.table.lock()
    }
}

/// An open connection; dropping it removes the connection from the table.
#[derive(Debug)]
pub struct Admitted {
    connections: Arc<Connections>,
    /// Increases with each connection.
    pub id: u64,
    /// The owner.
    pub owner: ConnectionOwner,
}

impl Admitted {
    /// Changes the owner once it is known; `false` if the new owner reached its limit.
    pub fn identify(&mut self, owner: ConnectionOwner) -> bool {
        let Connections { share, counts, .. } = &*self.connections;
        let moved = self.connections.table().transfer(self.id, self.owner, owner, *share);
        match moved {
            true => self.owner = owner,
            false => drop(counts.refused.fetch_add(1, Ordering::Relaxed)),
        }
        moved
    }

    /// Records the first request: the connection can no longer be evicted.
    pub fn record_request(&self) {
        self.connections.table().end_wait(self.owner, self.id);
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.connections.table().remove(self.owner, self.id);
    }
}

/// The state behind the decisions; it uses neither a clock nor the tasks.
#[derive(Debug, Default)]
struct ConnectionTable {
    next: u64,
    open: usize,
    owners: HashMap<ConnectionOwner, OwnedConnections>,
    /// Owners of waiting connections, in eviction order; the last one is evicted from first.
    order: BTreeSet<EvictionRank>,
}

#[derive(Debug, Default)]
struct OwnedConnections {
    open: usize,
    /// Connections without a request, the longest waiting first.
    waiting: BTreeMap<u64, Option<AbortHandle>>,
}

/// Sorts proxies before clients, then by the number of waiting connections, then by the age of the
/// oldest one. The greatest is evicted from first.
type EvictionRank = (bool, usize, Reverse<u64>, ConnectionOwner);

impl OwnedConnections {
    fn rank(&self, owner: ConnectionOwner) -> Option<EvictionRank> {
        let (oldest, _) = self.waiting.first_key_value()?;
        Some((
            matches!(owner, ConnectionOwner::Client(_)),
            self.waiting.len(),
            Reverse(*oldest),
            owner,
        ))
    }
}

impl ConnectionTable {
    fn add(&mut self, owner: ConnectionOwner, share: usize) -> Option<u64> {
        let id = self.next;
        self.insert(owner, id, None, share).then(|| self.next += 1)?;
        Some(id)
    }

    fn insert(
        &mut self,
        owner: ConnectionOwner,
        id: u64,
        task: Option<AbortHandle>,
        share: usize,
    ) -> bool {
        let open = self.owners.get(&owner).map_or(0, |owned| owned.open);
        if open >= share && matches!(owner, ConnectionOwner::Client(_)) {
            return false;
        }
        self.open += 1;
        self.change(owner, |owned| {
            owned.open += 1;
            owned.waiting.insert(id, task);
        });
        true
    }

    fn remove(&mut self, owner: ConnectionOwner, id: u64) {
        self.open -= 1;
        self.change(owner, |owned| {
            owned.open -= 1;
            owned.waiting.remove(&id);
        });
    }

    fn transfer(
        &mut self,
        id: u64,
        from: ConnectionOwner,
        to: ConnectionOwner,
        share: usize,
    ) -> bool {
        if from == to {
            return true;
        }
        let owned = self.owners.get_mut(&from);
        // A connection that is being evicted has no task any more; it ends shortly.
        let task = owned.and_then(|owned| owned.waiting.get_mut(&id)).and_then(Option::take);
        let moved = self.insert(to, id, task, share);
        if moved {
            self.remove(from, id);
        }
        moved
    }

    fn end_wait(&mut self, owner: ConnectionOwner, id: u64) {
        self.change(owner, |owned| drop(owned.waiting.remove(&id)));
    }

    /// Selects the connection to evict; it counts as open until it has ended.
    fn take_victim(&mut self) -> Option<Option<AbortHandle>> {
        let (_, _, Reverse(id), owner) = *self.order.last()?;
        self.change(owner, |owned| owned.waiting.remove(&id))
    }

    /// Changes an owner's entry and updates its rank.
    fn change<T>(
        &mut self,
        owner: ConnectionOwner,
        change: impl FnOnce(&mut OwnedConnections) -> T,
    ) -> T {
        let owned = self.owners.entry(owner).or_default();
        let before = owned.rank(owner);
        let changed = change(owned);
        let after = owned.rank(owner);
        if owned.open == 0 {
            self.owners.remove(&owner);
        }
        if before != after {
            before.map(|rank| self.order.remove(&rank));
            self.order.extend(after);
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::task::JoinHandle;

    fn client(text: &str) -> ConnectionOwner {
        ConnectionOwner::client(text.parse().unwrap())
    }

    fn connections(most: usize, share: usize) -> Arc<Connections> {
        Connections::new(most, share, Arc::default())
    }

    /// A connection, and its task, which ends only by eviction.
    fn open(connections: &Arc<Connections>, owner: ConnectionOwner) -> (Admitted, JoinHandle<()>) {
        let admitted = connections.admit(owner).unwrap();
        let task = tokio::spawn(pending());
        connections.set_task(admitted.id, owner, task.abort_handle());
        (admitted, task)
    }

    async fn is_evicted(task: &mut JoinHandle<()>) -> bool {
        tokio::task::yield_now().await;
        task.is_finished()
    }

    #[test]
    fn one_client_holds_its_share_and_not_more_however_its_address_is_written() {
        let all = connections(1000, 2);
        let one = all.admit(client("192.0.2.1")).unwrap();
        let _two = all.admit(client("::ffff:192.0.2.1")).unwrap();
        assert!(all.admit(client("192.0.2.1")).is_none());
        let _other = all.admit(client("192.0.2.2")).unwrap();
        drop(one);
        let _three = all.admit(client("192.0.2.1")).unwrap();
        let _v6 = all.admit(client("2001:db8::1")).unwrap();
        let _v6 = all.admit(client("2001:db8::2")).unwrap();
        assert!(all.admit(client("2001:db8::3")).is_none(), "a /64 is one client");
        assert!(all.admit(client("2001:db8:0:1::1")).is_some());
        assert_eq!(all.counts.refused(), 2);
    }

    #[test]
    fn a_proxy_has_no_share_and_the_clients_that_it_names_have_one() {
        let all = connections(1000, 1);
        let proxy = ConnectionOwner::Proxy(Some("10.0.0.1".parse().unwrap()));
        let mut many: Vec<_> = (0..9).map(|_| all.admit(proxy).unwrap()).collect();
        assert!(many[0].identify(client("192.0.2.1")));
        assert!(!many[1].identify(client("192.0.2.1")));
        assert!(many[2].identify(client("192.0.2.2")));
        drop(many);
        let table = all.table();
        assert_eq!((table.open, table.owners.len(), table.order.len()), (0, 0, 0));
    }

    #[tokio::test]
    async fn near_the_bound_the_longest_waiting_of_the_largest_holder_goes_first() {
        let all = connections(8, 8);
        let (quiet, mut quiet_task) = open(&all, client("192.0.2.1"));
        let mut hostile: Vec<_> = (0..5).map(|_| open(&all, client("192.0.2.2"))).collect();
        assert_eq!(all.counts.evicted(), 0, "there is room");
        let (_late, mut late_task) = open(&all, client("192.0.2.3"));
        let mut gone = Vec::new();
        for (_, task) in &mut hostile {
            gone.push(is_evicted(task).await);
        }
        assert_eq!(gone, [true, false, false, false, false]);
        assert!(!is_evicted(&mut quiet_task).await && !is_evicted(&mut late_task).await);
        assert_eq!(all.counts.evicted(), 1);
        drop(quiet);
    }

    #[tokio::test]
    async fn a_connection_that_has_sent_a_request_is_not_evicted() {
        let all = connections(4, 4);
        let (busy, mut busy_task) = open(&all, client("192.0.2.1"));
        busy.record_request();
        let (_second, mut second_task) = open(&all, client("192.0.2.1"));
        let (_proxy, mut proxy_task) = open(&all, ConnectionOwner::Proxy(None));
        all.evict(1);
        assert!(!is_evicted(&mut busy_task).await && !is_evicted(&mut proxy_task).await);
        assert!(is_evicted(&mut second_task).await, "clients go before proxies");
        all.evict(9);
        assert!(is_evicted(&mut proxy_task).await && !is_evicted(&mut busy_task).await);
        assert_eq!(all.counts.evicted(), 2);
    }
}
