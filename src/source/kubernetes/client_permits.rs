//! Permits for concurrent work caused by clients, limited in total and for each client.

use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::http::{Peer, client_network};
use crate::shares::Shares;

/// A semaphore with a share for each client.
#[derive(Debug)]
pub struct ClientPermits {
    all: Semaphore,
    clients: Shares<Peer>,
}

/// A permit, held until it is dropped.
#[derive(Debug)]
pub struct ClientPermit<'a> {
    _all: SemaphorePermit<'a>,
    _client: OwnedSemaphorePermit,
}

impl ClientPermits {
    /// `all` permits. One client holds at most `share` of them.
    pub fn new(all: usize, share: usize) -> Self {
        Self { all: Semaphore::new(all), clients: Shares::new(share) }
    }

    /// Acquires a permit for a client, identified by its network; `None` if there is none in time.
    /// A client that has used up its share does not delay others.
    pub async fn acquire(&self, client: Peer, wait: Duration) -> Option<ClientPermit<'_>> {
        let client = self.clients.of(client.map(|client| client_network(client.to_canonical())));
        let acquired = timeout(wait, async {
            let client = client.acquire_owned().await.ok()?;
            Some(ClientPermit { _all: self.all.acquire().await.ok()?, _client: client })
        });
        acquired.await.ok()?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    const WAIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_client_that_holds_its_share_waits_and_others_do_not() {
        let permits = ClientPermits::new(4, 2);
        let hostile: Option<IpAddr> = Some("192.0.2.1".parse().unwrap());
        let mapped: Option<IpAddr> = Some("::ffff:192.0.2.1".parse().unwrap());
        let quiet: Option<IpAddr> = Some("192.0.2.2".parse().unwrap());
        let first = permits.acquire(hostile, WAIT).await.unwrap();
        let _second = permits.acquire(mapped, WAIT).await.unwrap();
        assert!(permits.acquire(hostile, WAIT).await.is_none());
        let _quiet = permits.acquire(quiet, Duration::ZERO).await.unwrap();
        drop(first);
        let _third = permits.acquire(hostile, Duration::ZERO).await.unwrap();
        let _unknown = permits.acquire(None, Duration::ZERO).await.unwrap();
        assert!(permits.acquire(quiet, WAIT).await.is_none(), "all places are taken");
    }
}
