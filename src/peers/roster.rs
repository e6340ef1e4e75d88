//! Remembers the replicas that have answered, to name those that no longer do. Pure.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long a replica counts as missing after its last response. Bounded, because a replica may
/// have been removed on purpose.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// Replicas by name.
#[derive(Debug, Default)]
pub struct Roster(BTreeMap<String, LastSeen>);

#[derive(Debug)]
struct LastSeen {
    address: SocketAddr,
    when: Instant,
}

impl Roster {
    /// Records that a replica has answered.
    pub fn record(&mut self, name: &str, address: SocketAddr, now: Instant) {
        // The address may have belonged to another replica before.
        self.0.retain(|_, seen| seen.address != address);
        self.0.insert(name.to_owned(), LastSeen { address, when: now });
    }

    /// The names of the known replicas that are not `present`, and the `silent` addresses that
    /// belong to no known replica.
    pub fn missing(
        &mut self,
        present: &[&str],
        silent: &[SocketAddr],
        now: Instant,
    ) -> Vec<String> {
        self.0.retain(|_, seen| now.duration_since(seen.when) < REMEMBERED);
        let absent = self.0.keys().filter(|name| !present.contains(&name.as_str()));
        let is_known =
            |address: &&SocketAddr| self.0.values().any(|seen| seen.address == **address);
        let unknown = silent.iter().filter(|address| !is_known(address));
        absent.cloned().chain(unknown.map(ToString::to_string)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: u16) -> SocketAddr {
        ([192, 0, 2, 1], number).into()
    }

    #[test]
    fn a_silent_replica_is_named_and_an_unknown_one_has_its_address_only() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        roster.record("a", at(1), now);
        roster.record("b", at(2), now);
        assert_eq!(roster.missing(&["a"], &[at(2), at(3)], now), ["b", "192.0.2.1:3"]);
        assert!(roster.missing(&["a", "b"], &[], now).is_empty());
    }

    #[test]
    fn a_replica_without_a_response_is_missing_for_an_hour() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        roster.record("a", at(1), now);
        let later = |minutes: u64| now + Duration::from_secs(60 * minutes);
        assert_eq!(roster.missing(&[], &[], later(59)), ["a"]);
        assert!(roster.missing(&[], &[], later(60)).is_empty());
    }

    #[test]
    fn a_replica_may_move_and_another_one_may_take_its_address() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        roster.record("a", at(1), now);
        roster.record("a", at(2), now);
        assert_eq!(roster.missing(&[], &[at(2)], now), ["a"]);
        roster.record("b", at(2), now);
        assert_eq!(roster.missing(&[], &[at(2)], now), ["b"]);
    }
}
