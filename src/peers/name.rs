//! Host names of peers, and their addresses.

use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::time::timeout;

/// Timeout of a lookup.
const DEADLINE: Duration = Duration::from_secs(2);

/// How long the result of a lookup is cached.
const FRESH: Duration = Duration::from_secs(5);

/// `HOST:PORT`; the host is a DNS name of one or more replicas, or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

/// The text is not `HOST:PORT`.
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
        let addresses = timeout(DEADLINE, tokio::net::lookup_host(&self.0)).await??;
        Ok(of_one_family(addresses.collect()))
    }
}

/// Keeps the addresses of the family of the first one. A replica may have an address of each family
/// and should be called only once.
fn of_one_family(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_ipv4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    addresses.retain(|address| address.is_ipv4() == first_is_ipv4);
    addresses
}

/// Result of a lookup.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    /// Sorted, without duplicates.
    pub addresses: Vec<SocketAddr>,
    /// Names that could not be resolved.
    pub unresolved: Vec<String>,
}

/// Caches the last complete lookup.
#[derive(Debug, Default)]
pub struct AddressCache(Mutex<Option<(Instant, Resolved)>>);

impl AddressCache {
    /// The addresses of the names, at most [`FRESH`] old.
    pub async fn resolve(&self, names: &[Name]) -> Resolved {
        if let Some(resolved) = self.fresh() {
            return resolved;
        }
        let resolved = resolve(names).await;
        if resolved.unresolved.is_empty() {
            let entry = Some((Instant::now(), resolved.clone()));
            *self.0.lock() = entry;
        }
        resolved
    }

    fn fresh(&self) -> Option<Resolved> {
        let entry = self.0.lock();
        let (when, resolved) = entry.as_ref()?;
        (when.elapsed() < FRESH).then(|| resolved.clone())
    }
}

async fn resolve(names: &[Name]) -> Resolved {
    let mut all = Resolved::default();
    let lookups = join_all(names.iter().map(Name::addresses)).await;
    for (name, addresses) in names.iter().zip(lookups) {
        match addresses {
            Ok(addresses) => all.addresses.extend(addresses),
            Err(error) => {
                tracing::debug!(name = name.0, %error, "cannot resolve a name of peers");
                all.unresolved.push(name.0.clone());
            }
        }
    }
    all.addresses.sort();
    all.addresses.dedup();
    all
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
    async fn names_are_resolved_together_and_failures_are_reported() {
        let names = ["127.0.0.2:1", "127.0.0.1:1", "127.0.0.2:1", "no.invalid:1"];
        let names = names.map(|name| name.parse().unwrap());
        let Resolved { addresses, unresolved } = AddressCache::default().resolve(&names).await;
        let expected = ["127.0.0.1:1", "127.0.0.2:1"].map(|text| text.parse().unwrap());
        assert_eq!((addresses, unresolved), (expected.into(), vec!["no.invalid:1".to_owned()]));
    }

    #[test]
    fn a_replica_with_an_address_of_each_family_is_called_once() {
        let addresses = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let both = addresses(&["192.0.2.1:1", "[2001:db8::1]:1", "192.0.2.2:1"]);
        assert_eq!(of_one_family(both), addresses(&["192.0.2.1:1", "192.0.2.2:1"]));
    }
}
