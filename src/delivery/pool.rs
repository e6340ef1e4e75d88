//! Open connections to listeners that wait for their next call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use hyper::client::conn::http1::SendRequest;

use super::Pieces;
use crate::routes::Origin;

/// How long a connection waits. Below the 5 s after which Node.js and uvicorn close theirs: who
/// closes first loses no call to a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(4);

/// How many connections of one listener wait, in one pool.
const IDLE_PER_ORIGIN: usize = 256;

/// The connections of one runtime.
#[derive(Debug, Default)]
pub struct Pool {
    idle: Mutex<IdleByOrigin>,
}

type IdleByOrigin = HashMap<Arc<Origin>, Vec<Idle>, RandomState>;

#[derive(Debug)]
struct Idle {
    sender: SendRequest<Pieces>,
    since: Instant,
}

impl Idle {
    fn is_usable(&self) -> bool {
        !self.sender.is_closed() && self.since.elapsed() < IDLE
    }
}

impl Pool {
    /// A connection that was just used, if one waits: the latest is the least likely to be closed.
    pub fn take(&self, origin: &Origin) -> Option<SendRequest<Pieces>> {
        let mut idle = self.idle();
        let waiting = idle.get_mut(origin)?;
        while let Some(candidate) = waiting.pop() {
            if candidate.is_usable() {
                return Some(candidate.sender);
            }
        }
        None
    }

    /// Lets a connection wait whose answer was read to its end.
    pub fn put(&self, origin: &Arc<Origin>, sender: SendRequest<Pieces>) {
        let entry = Idle { sender, since: Instant::now() };
        let mut idle = self.idle();
        if let Some(waiting) = idle.get_mut(origin) {
            if waiting.len() < IDLE_PER_ORIGIN {
                waiting.push(entry);
            }
            return;
        }
        idle.insert(origin.clone(), vec![entry]);
    }

    /// Closes what waited too long, now and then, for as long as somebody polls this.
    pub async fn sweep(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(IDLE / 2);
        loop {
            ticks.tick().await;
            self.idle().retain(|_, waiting| {
                waiting.retain(Idle::is_usable);
                !waiting.is_empty()
            });
        }
    }

    fn idle(&self) -> MutexGuard<'_, IdleByOrigin> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
