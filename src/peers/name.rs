//! Names of peers, and the addresses that they resolve to.

use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::timeout;

/// How long a resolver may take.
const DEADLINE: Duration = Duration::from_secs(2);

/// How long an answer of the resolver is used again.
const FRESH: Duration = Duration::from_secs(5);

/// `HOST:PORT`; the host is a name of one or many replicas, or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

/// What is no `HOST:PORT`.
#[derive(Debug, thiserror::Error)]
#[error("must be HOST:PORT, such as webhook-operator-headless.webhook-operator.svc:9443")]
pub struct InvalidName;

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let (host, port) = text.rsplit_once(':').ok_or(InvalidName)?;
        let is_bracketed = host.starts_with('[') && host.ends_with(']');
        let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
        if host.is_empty() || !is_port || (host.contains(':') && !is_bracketed) {
            return Err(InvalidName);
        }
        Ok(Self(text.to_owned()))
    }
}

impl Name {
    async fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        let found = timeout(DEADLINE, tokio::net::lookup_host(&self.0)).await??;
        Ok(of_one_family(found.collect()))
    }
}

/// A replica may have an address of each family: one is enough to ask it once.
fn of_one_family(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_ipv4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    addresses.retain(|address| address.is_ipv4() == first_is_ipv4);
    addresses
}

/// Where peers are.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Sorted, each once.
    pub addresses: Vec<SocketAddr>,
    /// Names that did not resolve.
    pub unresolved: Vec<String>,
}

/// The last answer of the resolver.
#[derive(Debug, Default)]
pub struct Cache(Mutex<Option<(Instant, Found)>>);

impl Cache {
    /// Where the peers of these names are, as of a moment ago.
    pub async fn of(&self, names: &[Name]) -> Found {
        if let Some(found) = self.fresh() {
            return found;
        }
        let found = find(names).await;
        if found.unresolved.is_empty() {
            let entry = Some((Instant::now(), found.clone()));
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = entry;
        }
        found
    }

    fn fresh(&self) -> Option<Found> {
        let entry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (when, found) = entry.as_ref()?;
        (when.elapsed() < FRESH).then(|| found.clone())
    }
}

async fn find(names: &[Name]) -> Found {
    let mut found = Found::default();
    let resolved = join_all(names.iter().map(Name::addresses)).await;
    for (name, addresses) in names.iter().zip(resolved) {
        match addresses {
            Ok(addresses) => found.addresses.extend(addresses),
            Err(error) => {
                tracing::debug!(name = name.0, %error, "a name of replicas does not resolve");
                found.unresolved.push(name.0.clone());
            }
        }
    }
    found.addresses.sort();
    found.addresses.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_host_or_an_address_with_a_port() {
        for text in ["webhook-operator-headless.ns.svc:9090", "192.0.2.1:1", "[::1]:9090"] {
            assert_eq!(text.parse::<Name>().unwrap().0, text);
        }
        for text in ["", "host", ":9090", "host:", "host:0", "host:65536", "::1:9090", "a:b:1"] {
            assert!(text.parse::<Name>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn names_are_resolved_together_and_the_rest_is_told_of() {
        let names = ["127.0.0.2:1", "127.0.0.1:1", "127.0.0.2:1", "no.invalid:1"];
        let names = names.map(|name| name.parse().unwrap());
        let Found { addresses, unresolved } = Cache::default().of(&names).await;
        let expected = ["127.0.0.1:1", "127.0.0.2:1"].map(|text| text.parse().unwrap());
        assert_eq!((addresses, unresolved), (expected.into(), vec!["no.invalid:1".to_owned()]));
    }

    #[test]
    fn a_replica_with_an_address_of_each_family_is_asked_once() {
        let addresses = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let both = addresses(&["192.0.2.1:1", "[2001:db8::1]:1", "192.0.2.2:1"]);
        assert_eq!(of_one_family(both), addresses(&["192.0.2.1:1", "192.0.2.2:1"]));
    }
}
