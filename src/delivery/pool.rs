//! Pool of idle connections to listeners.
//!
//! Own code instead of the pool of an HTTP client: a connection is reused only for the same kind of
//! reference (`NamedBy`), by the runtime that opened it, and is closed before the listener closes
//! it. `docs/design/listener-connections.md` has the reasons.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use parking_lot::{Mutex, MutexGuard};

use super::http1::{Exchange, IdleConnection};
use crate::routes::Origin;

/// Idle timeout. Below the 5 s after which Node.js and uvicorn close idle connections: closing
/// first avoids sending a call on a connection that the listener is about to close.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// Maximum number of idle connections per listener in one pool.
const IDLE_PER_ORIGIN: usize = 256;

/// The idle connections of one runtime.
#[derive(Debug, Default)]
pub struct Pool {
    idle: Mutex<IdleByOrigin>,
}

type IdleByOrigin = HashMap<Arc<Origin>, Vec<Idle>, RandomState>;

#[derive(Debug)]
struct Idle {
    connection: IdleConnection,
    since: Instant,
}

impl Idle {
    fn is_usable(&mut self) -> bool {
        self.since.elapsed() < IDLE_TIMEOUT && self.connection.is_idle()
    }
}

impl Pool {
    /// Takes the most recently used idle connection, which is the least likely to be closed.
    pub fn take(&self, origin: &Origin) -> Option<IdleConnection> {
        let mut idle = self.idle();
        let connections = idle.get_mut(origin)?;
        while let Some(mut candidate) = connections.pop() {
            if candidate.is_usable() {
                return Some(candidate.connection);
            }
        }
        None
    }

    /// Takes the connection of a finished exchange, or closes it if it cannot be reused.
    pub fn put(&self, origin: &Arc<Origin>, exchange: Exchange) {
        let Some(connection) = exchange.into_connection() else { return };
        let entry = Idle { connection, since: Instant::now() };
        let mut idle = self.idle();
        if let Some(connections) = idle.get_mut(origin) {
            if connections.len() < IDLE_PER_ORIGIN {
                connections.push(entry);
            }
            return;
        }
        idle.insert(origin.clone(), vec![entry]);
    }

    /// Periodically closes connections that exceed the idle timeout. Never completes.
    pub async fn sweep(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(IDLE_TIMEOUT / 2);
        loop {
            ticks.tick().await;
            self.idle().retain(|_, connections| {
                connections.retain_mut(Idle::is_usable);
                !connections.is_empty()
            });
        }
    }

    fn idle(&self) -> MutexGuard<'_, IdleByOrigin> {
        self.idle.lock()
    }
}
