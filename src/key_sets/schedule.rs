//! Which fetch may start next, given what runs and what waits. Pure.
//!
//! A fetch counts for each namespace that uses its URL, and for its host. It may start while one of
//! its namespaces is under its share, not only when all are: otherwise a namespace at its share could
//! delay the URLs that others use by naming them as well. A host's share is at least twice a
//! namespace's, so that one namespace cannot use up another one's issuer.
//!
//! A semaphore for all does not do: 192 silent URLs of one namespace took all permits in turn, and
//! delayed everybody's first fetch by 28 s.

use std::collections::HashMap;
use std::sync::Arc;

/// Which fetches compete with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// First fetches, and those of URLs whose last fetch succeeded.
    Regular,
    /// URLs whose last fetch failed.
    Failing,
}

/// How many fetches of a lane run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// In all.
    pub total: usize,
    /// Of one namespace.
    pub namespace: usize,
    /// From one host.
    pub host: usize,
}

impl Lane {
    /// The limits of this lane.
    pub const fn limits(self) -> Limits {
        match self {
            Self::Regular => Limits { total: 64, namespace: 8, host: 16 },
            Self::Failing => Limits { total: 8, namespace: 2, host: 4 },
        }
    }
}

/// A fetch that runs or waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// The namespaces that use the URL.
    pub namespaces: Vec<Arc<str>>,
    /// The host of the URL.
    pub host: Arc<str>,
    /// Whether its last fetch failed.
    pub lane: Lane,
}

/// The position of the waiting fetch that starts next; `None` when none may start.
///
/// Of those that may start, it is one whose namespace has the fewest running; of these, the first.
pub fn next<'a>(
    running: impl Iterator<Item = &'a Fetch> + Clone,
    waiting: impl Iterator<Item = &'a Fetch> + Clone,
) -> Option<usize> {
    [Lane::Regular, Lane::Failing].into_iter().find_map(|lane| {
        let load = Load::of(lane, running.clone());
        let (_, position) = waiting
            .clone()
            .enumerate()
            .filter(|(_, fetch)| fetch.lane == lane)
            .filter_map(|(position, fetch)| Some((load.precedence(fetch)?, position)))
            .min()?;
        Some(position)
    })
}

/// What runs in a lane.
struct Load<'a> {
    limits: Limits,
    total: usize,
    namespaces: HashMap<&'a str, usize>,
    hosts: HashMap<&'a str, usize>,
}

impl<'a> Load<'a> {
    fn of(lane: Lane, running: impl Iterator<Item = &'a Fetch>) -> Self {
        let (namespaces, hosts) = Default::default();
        let mut load = Self { limits: lane.limits(), total: 0, namespaces, hosts };
        for fetch in running.filter(|fetch| fetch.lane == lane) {
            load.total += 1;
            *load.hosts.entry(&fetch.host).or_default() += 1;
            for namespace in &fetch.namespaces {
                *load.namespaces.entry(namespace).or_default() += 1;
            }
        }
        load
    }

    /// How many fetches run for the least busy namespace of a fetch; `None` when it may not start.
    fn precedence(&self, fetch: &Fetch) -> Option<usize> {
        let of_host = self.hosts.get(&*fetch.host).copied().unwrap_or(0);
        if self.total >= self.limits.total || of_host >= self.limits.host {
            return None;
        }
        let of = |namespace: &Arc<str>| self.namespaces.get(&**namespace).copied().unwrap_or(0);
        let least = fetch.namespaces.iter().map(of).min()?;
        (least < self.limits.namespace).then_some(least)
    }
}

#[cfg(test)]
mod tests;
