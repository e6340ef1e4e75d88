//! How many connections each client has, so that no client keeps the others out.
//!
//! Two rules. A client never has more than its share of the connections. When the connections run short, one that
//! has not sent a complete request is closed for each new one: of the client that has most of them, the one that
//! has waited longest. A connection takes the lock when it begins, with its first request and when it ends,
//! never for a later request.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

/// What counts as one client: an IPv4 address, or the /64 that an IPv6 host is given (RFC 6177).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Client(IpAddr);

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) >> 64 << 64).into(),
            address => address,
        })
    }
}

/// The connections of all clients of one port.
#[derive(Debug)]
pub struct Clients {
    share: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    by_client: HashMap<Client, Connections>,
    /// Clients that have connections without a complete request, by how many.
    waiting: BTreeSet<(usize, Client)>,
    next: u64,
}

/// Those of one client.
#[derive(Debug, Default)]
struct Connections {
    count: usize,
    /// Without a complete request, the oldest first; the handle closes it.
    waiting: BTreeMap<u64, AbortHandle>,
}

impl Clients {
    /// Clients that may have this many connections each.
    pub fn new(share: usize) -> Arc<Self> {
        Arc::new(Self { share, held: Mutex::default() })
    }

    /// A connection of a client begins; `None` when the client has its share already.
    pub fn enter(self: &Arc<Self>, client: Client, close: AbortHandle) -> Option<Connection> {
        let mut held = self.held();
        let number = held.next;
        held.next += 1;
        let connections = held.by_client.entry(client).or_default();
        if connections.count >= self.share {
            return None;
        }
        connections.count += 1;
        held.change(client, |waiting| drop(waiting.insert(number, close)));
        drop(held);
        Some(Connection { clients: self.clone(), client, number })
    }

    /// Closes the connection that may go first; false when every connection has sent a request.
    pub fn evict(&self) -> bool {
        let mut held = self.held();
        let Some((_, client)) = held.waiting.last().copied() else { return false };
        let mut evicted = None;
        held.change(client, |waiting| evicted = waiting.pop_first());
        drop(held);
        evicted.inspect(|(_, handle)| handle.abort()).is_some()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // No panic leaves it half changed: each change is made before anything that could panic.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Changes what waits of a client that has an entry.
    fn change(&mut self, client: Client, change: impl FnOnce(&mut BTreeMap<u64, AbortHandle>)) {
        let Some(connections) = self.by_client.get_mut(&client) else { return };
        let before = connections.waiting.len();
        change(&mut connections.waiting);
        let after = connections.waiting.len();
        if before != after {
            self.waiting.remove(&(before, client));
            if after > 0 {
                self.waiting.insert((after, client));
            }
        }
    }
}

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub struct Connection {
    clients: Arc<Clients>,
    client: Client,
    number: u64,
}

impl Connection {
    /// It has sent a complete request: it is no longer closed in favour of others.
    pub fn served(&self) {
        self.clients.held().change(self.client, |waiting| drop(waiting.remove(&self.number)));
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.served();
        let mut held = self.clients.held();
        if let Some(connections) = held.by_client.get_mut(&self.client) {
            connections.count -= 1;
            if connections.count == 0 {
                held.by_client.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str) -> Client {
        Client::from(address.parse::<IpAddr>().unwrap())
    }

    fn task() -> (tokio::task::JoinHandle<()>, AbortHandle) {
        let task = tokio::spawn(std::future::pending());
        let handle = task.abort_handle();
        (task, handle)
    }

    #[test]
    fn an_ipv6_client_is_its_64_and_a_mapped_address_is_the_ipv4_client() {
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:0:0:9"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
    }

    #[tokio::test]
    async fn a_client_has_its_share_and_no_more_until_one_of_its_connections_ends() {
        let clients = Clients::new(2);
        let enter = |address| clients.enter(client(address), task().1);
        let first = enter("192.0.2.1").unwrap();
        let _second = enter("192.0.2.1").unwrap();
        assert!(enter("192.0.2.1").is_none());
        let _other = enter("192.0.2.2").unwrap();
        drop(first);
        assert!(enter("192.0.2.1").is_some());
    }

    #[tokio::test]
    async fn the_oldest_silent_connection_of_the_largest_holder_goes_first_and_none_that_was_served()
     {
        let clients = Clients::new(10);
        let mut tasks = Vec::new();
        let mut enter = |address| {
            let (task, handle) = task();
            tasks.push(task);
            clients.enter(client(address), handle).unwrap()
        };
        let quiet = enter("192.0.2.2");
        let hostile = [enter("192.0.2.1"), enter("192.0.2.1"), enter("192.0.2.1")];
        hostile[0].served();
        let is_ended = async |tasks: &[tokio::task::JoinHandle<()>]| {
            tokio::task::yield_now().await;
            tasks.iter().map(tokio::task::JoinHandle::is_finished).collect::<Vec<_>>()
        };
        assert!(clients.evict());
        assert_eq!(is_ended(&tasks).await, [false, false, true, false]);
        drop(quiet);
        assert!(clients.evict());
        assert_eq!(is_ended(&tasks).await, [false, false, true, true]);
        assert!(!clients.evict(), "the one that was served stays");
        drop(hostile);
        assert!(clients.held().by_client.is_empty());
    }
}
