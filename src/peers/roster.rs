//! Which replicas have been met, so that one that is silent or gone can be named. Pure.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// For how long a replica is missed that is nowhere to be found any more. One that was taken away on
/// purpose is not missed for ever.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// Replicas by name.
#[derive(Debug, Default)]
pub struct Roster(BTreeMap<String, Met>);

#[derive(Debug)]
struct Met {
    address: SocketAddr,
    when: Instant,
}

impl Roster {
    /// A replica answered.
    pub fn met(&mut self, name: &str, address: SocketAddr, now: Instant) {
        // An address may have been another one's before.
        self.0.retain(|_, met| met.address != address);
        self.0.insert(name.to_owned(), Met { address, when: now });
    }

    /// Who did not answer, while `present` did: who is at the addresses that were `silent`, and who is not
    /// to be found.
    pub fn missing(
        &mut self,
        present: &[&str],
        silent: &[SocketAddr],
        now: Instant,
    ) -> Vec<String> {
        self.0.retain(|_, met| now.duration_since(met.when) < REMEMBERED);
        let absent = self.0.keys().filter(|name| !present.contains(&name.as_str()));
        let is_known = |address: &&SocketAddr| self.0.values().any(|met| met.address == **address);
        let strangers = silent.iter().filter(|address| !is_known(address));
        absent.cloned().chain(strangers.map(ToString::to_string)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: u16) -> SocketAddr {
        ([192, 0, 2, 1], number).into()
    }

    #[test]
    fn who_is_silent_is_named_and_who_was_never_met_has_an_address_alone() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        roster.met("a", at(1), now);
        roster.met("b", at(2), now);
        assert_eq!(roster.missing(&["a"], &[at(2), at(3)], now), ["b", "192.0.2.1:3"]);
        assert!(roster.missing(&["a", "b"], &[], now).is_empty());
    }

    #[test]
    fn who_is_not_to_be_found_is_missed_for_an_hour() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        roster.met("a", at(1), now);
        let later = |minutes: u64| now + Duration::from_secs(60 * minutes);
        assert_eq!(roster.missing(&[], &[], later(59)), ["a"]);
        assert!(roster.missing(&[], &[], later(60)).is_empty());
    }

    #[test]
    fn a_replica_may_come_back_elsewhere_and_another_one_at_its_address() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        roster.met("a", at(1), now);
        roster.met("a", at(2), now);
        assert_eq!(roster.missing(&[], &[at(2)], now), ["a"]);
        roster.met("b", at(2), now);
        assert_eq!(roster.missing(&[], &[at(2)], now), ["b"]);
    }
}
