//! A listener outside of the cluster that remembers which events it got, and how often.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::support::listener::Listener;
use crate::support::node::Node;
use crate::support::operator::eventually;

/// The listener, and what it got.
pub struct Recorder {
    listener: Listener,
    /// How often each event came, by its id.
    received: BTreeMap<String, usize>,
}

impl Recorder {
    /// Starts one that pods of the node reach.
    pub fn start(node: &Node) -> Self {
        Self { listener: Listener::start_at(node.host_ip()), received: BTreeMap::new() }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        let address = self.listener.url.trim_start_matches("http://").trim_end_matches('/');
        address.parse().expect("an address")
    }

    /// Whether it has got an event.
    pub fn has(&mut self, id: &str) -> bool {
        self.look();
        self.received.contains_key(id)
    }

    /// Waits until it has got all of these events; says how many came more than once.
    pub fn await_all(&mut self, what: &str, ids: &[String]) {
        let mut missing: Vec<&String> = ids.iter().collect();
        eventually(&format!("{what}: {} events that were taken to be received", ids.len()), || {
            self.look();
            missing.retain(|id| !self.received.contains_key(*id));
            missing.is_empty().then_some(())
        });
        let twice = ids.iter().filter(|id| self.received[*id] > 1).count();
        eprintln!("{what}: all {} events were received, {twice} of them more than once", ids.len());
    }

    fn look(&mut self) {
        while let Some(call) = self.listener.try_call() {
            let id = call.header("webhook-event-id").expect("an id").to_owned();
            *self.received.entry(id).or_default() += 1;
        }
    }
}
