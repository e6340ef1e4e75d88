//! Who holds how many connections of a port, and which of them go first when they run short.
//!
//! One client (an IPv4 address, or an IPv6 /64) holds at most its share. Near the bound, each new connection evicts
//! one that has sent no complete request: of the client that has most of these, the one that has waited longest. So
//! a stranger with many addresses displaces their own connections before anybody else's.
//!
//! Locked once when a connection begins, once at its first request and once when it ends; never for a request.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

use crate::http::client_network;

/// Who holds a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// A trusted proxy, or a connection of which its balancer does not say whose it is. It stands for many clients
    /// and has no share.
    Proxy(Option<IpAddr>),
    /// One client, by its network.
    Client(IpAddr),
}

impl Holder {
    /// The client of this address.
    pub fn client(address: IpAddr) -> Self {
        Self::Client(client_network(address.to_canonical()))
    }
}

/// How many connections were not served.
#[derive(Debug, Default)]
pub struct ConnectionCounts {
    refused: AtomicU64,
    evicted: AtomicU64,
}

impl ConnectionCounts {
    /// Connections that were closed because their client held its share.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Connections without a complete request that made room for others.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }
}

/// The open connections of a port.
#[derive(Debug)]
pub struct Connections {
    /// One client has at most so many.
    share: usize,
    /// Beyond so many, those that wait are evicted.
    scarce: usize,
    counts: Arc<ConnectionCounts>,
    table: Mutex<Table>,
}

impl Connections {
    /// None yet, of at most `most`.
    pub fn new(most: usize, share: usize, counts: Arc<ConnectionCounts>) -> Arc<Self> {
        Arc::new(Self { share, scarce: most - most / 4, counts, table: Mutex::default() })
    }

    /// Takes a connection, and evicts another one if they run short; `None` when its client has its share.
    pub fn admit(self: &Arc<Self>, holder: Holder) -> Option<Admitted> {
        let mut table = self.table();
        let Some(id) = table.add(holder, self.share) else {
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        if table.open > self.scarce {
            self.evict_one(&mut table);
        }
        drop(table);
        Some(Admitted { connections: Arc::clone(self), id, holder })
    }

    /// Evicts up to so many connections that wait.
    pub fn evict(&self, number: usize) {
        let mut table = self.table();
        (0..number).for_each(|_| self.evict_one(&mut table));
    }

    /// The connection is served by this task, which eviction aborts.
    pub fn served_by(&self, id: u64, holder: Holder, task: AbortHandle) {
        let mut table = self.table();
        // It may have ended already, or have sent its first request.
        let held = table.holders.get_mut(&holder);
        if let Some(waiting) = held.and_then(|held| held.waiting.get_mut(&id)) {
            *waiting = Some(task);
        }
    }

    fn evict_one(&self, table: &mut Table) {
        let Some(task) = table.take_first() else { return };
        self.counts.evicted.fetch_add(1, Ordering::Relaxed);
        // One without a task was admitted just now by another thread; it ends with its timeout.
        if let Some(task) = task {
            task.abort();
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is open; it is given back when this is dropped.
#[derive(Debug)]
pub struct Admitted {
    connections: Arc<Connections>,
    /// Ascends with each connection.
    pub id: u64,
    /// Who holds it.
    pub holder: Holder,
}

impl Admitted {
    /// The connection turns out to be another holder's; `false` when that one has its share.
    pub fn identify(&mut self, holder: Holder) -> bool {
        let Connections { share, counts, .. } = &*self.connections;
        let moved = self.connections.table().pass_on(self.id, self.holder, holder, *share);
        match moved {
            true => self.holder = holder,
            false => drop(counts.refused.fetch_add(1, Ordering::Relaxed)),
        }
        moved
    }

    /// A request has come: the connection no longer waits for its first one.
    pub fn has_request(&self) {
        self.connections.table().wait_no_more(self.holder, self.id);
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.connections.table().remove(self.holder, self.id);
    }
}

/// What is decided from; without a clock and without tasks at work.
#[derive(Debug, Default)]
struct Table {
    next: u64,
    open: usize,
    holders: HashMap<Holder, Held>,
    /// Holders of connections that wait; the last one is the first to lose one.
    order: BTreeSet<Rank>,
}

#[derive(Debug, Default)]
struct Held {
    open: usize,
    /// Those without a request, the longest waiting first.
    waiting: BTreeMap<u64, Option<AbortHandle>>,
}

/// Clients before proxies, then by the number of connections that wait, then by the one that has waited longest.
type Rank = (bool, usize, Reverse<u64>, Holder);

impl Held {
    fn rank(&self, holder: Holder) -> Option<Rank> {
        let (oldest, _) = self.waiting.first_key_value()?;
        Some((matches!(holder, Holder::Client(_)), self.waiting.len(), Reverse(*oldest), holder))
    }
}

impl Table {
    fn add(&mut self, holder: Holder, share: usize) -> Option<u64> {
        let id = self.next;
        self.insert(holder, id, None, share).then(|| self.next += 1)?;
        Some(id)
    }

    fn insert(&mut self, holder: Holder, id: u64, task: Option<AbortHandle>, share: usize) -> bool {
        let open = self.holders.get(&holder).map_or(0, |held| held.open);
        if open >= share && matches!(holder, Holder::Client(_)) {
            return false;
        }
        self.open += 1;
        self.change(holder, |held| {
            held.open += 1;
            held.waiting.insert(id, task);
        });
        true
    }

    fn remove(&mut self, holder: Holder, id: u64) {
        self.open -= 1;
        self.change(holder, |held| {
            held.open -= 1;
            held.waiting.remove(&id);
        });
    }

    fn pass_on(&mut self, id: u64, from: Holder, to: Holder, share: usize) -> bool {
        if from == to {
            return true;
        }
        let held = self.holders.get_mut(&from);
        // One that is being evicted just now has no task any more, and ends.
        let task = held.and_then(|held| held.waiting.get_mut(&id)).and_then(Option::take);
        let moved = self.insert(to, id, task, share);
        if moved {
            self.remove(from, id);
        }
        moved
    }

    fn wait_no_more(&mut self, holder: Holder, id: u64) {
        self.change(holder, |held| drop(held.waiting.remove(&id)));
    }

    /// The first one to be evicted; it stays open until it has ended.
    fn take_first(&mut self) -> Option<Option<AbortHandle>> {
        let (_, _, Reverse(id), holder) = *self.order.last()?;
        self.change(holder, |held| held.waiting.remove(&id))
    }

    /// Changes what a holder has, and its rank with it.
    fn change<T>(&mut self, holder: Holder, change: impl FnOnce(&mut Held) -> T) -> T {
        let held = self.holders.entry(holder).or_default();
        let before = held.rank(holder);
        let changed = change(held);
        let after = held.rank(holder);
        if held.open == 0 {
            self.holders.remove(&holder);
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

    fn client(text: &str) -> Holder {
        Holder::client(text.parse().unwrap())
    }

    fn connections(most: usize, share: usize) -> Arc<Connections> {
        Connections::new(most, share, Arc::default())
    }

    /// A connection, and its task, which ends only when it is evicted.
    fn open(connections: &Arc<Connections>, holder: Holder) -> (Admitted, JoinHandle<()>) {
        let admitted = connections.admit(holder).unwrap();
        let task = tokio::spawn(pending());
        connections.served_by(admitted.id, holder, task.abort_handle());
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
    fn a_proxy_has_no_share_and_whom_it_names_has_one() {
        let all = connections(1000, 1);
        let proxy = Holder::Proxy(Some("10.0.0.1".parse().unwrap()));
        let mut many: Vec<_> = (0..9).map(|_| all.admit(proxy).unwrap()).collect();
        assert!(many[0].identify(client("192.0.2.1")));
        assert!(!many[1].identify(client("192.0.2.1")));
        assert!(many[2].identify(client("192.0.2.2")));
        drop(many);
        let table = all.table();
        assert_eq!((table.open, table.holders.len(), table.order.len()), (0, 0, 0));
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
        busy.has_request();
        let (_second, mut second_task) = open(&all, client("192.0.2.1"));
        let (_proxy, mut proxy_task) = open(&all, Holder::Proxy(None));
        all.evict(1);
        assert!(!is_evicted(&mut busy_task).await && !is_evicted(&mut proxy_task).await);
        assert!(is_evicted(&mut second_task).await, "clients go before proxies");
        all.evict(9);
        assert!(is_evicted(&mut proxy_task).await && !is_evicted(&mut busy_task).await);
        assert_eq!(all.counts.evicted(), 2);
    }
}
