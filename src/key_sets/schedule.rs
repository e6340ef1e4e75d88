//! Decides which fetch starts next, given the running and the waiting ones. Pure.
//!
//! A fetch counts towards the limit of each namespace that uses its URL, and towards that of its
//! host. It may start while at least one of its namespaces is below its limit. If all had to be, a
//! namespace at its limit could delay the URLs of others by using them as well. The limit of a host
//! is at least twice that of a namespace, so that one namespace cannot use up the limit of another
//! one's issuer.
//!
//! A single semaphore is not enough: 192 unresponsive URLs of one namespace took all permits in
//! turn and delayed the first fetch of every other namespace by 28 s.

use std::collections::HashMap;
use std::sync::Arc;

/// Group of fetches that compete with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// First fetches, and those of URLs whose last fetch succeeded.
    Regular,
    /// URLs whose last fetch failed.
    Failing,
}

/// Maximum numbers of concurrent fetches in a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneLimits {
    /// Over all namespaces and hosts.
    pub total: usize,
    /// Per namespace.
    pub namespace: usize,
    /// Per host.
    pub host: usize,
}

impl Lane {
    /// The limits of this lane.
    pub const fn limits(self) -> LaneLimits {
        match self {
            Self::Regular => LaneLimits { total: 64, namespace: 8, host: 16 },
            Self::Failing => LaneLimits { total: 8, namespace: 2, host: 4 },
        }
    }
}

/// A running or waiting fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// The namespaces that use the URL.
    pub namespaces: Vec<Arc<str>>,
    /// The host of the URL.
    pub host: Arc<str>,
    /// The lane, which depends on the result of the last fetch.
    pub lane: Lane,
}

/// The index of the waiting fetch that starts next; `None` if none may start.
///
/// Among the fetches that may start, the one whose namespace has the fewest running fetches is
/// chosen; the order of arrival breaks ties. [`Lane::Regular`] comes first.
pub fn next<'a>(
    running: impl Iterator<Item = &'a Fetch> + Clone,
    waiting: impl Iterator<Item = &'a Fetch> + Clone,
) -> Option<usize> {
    [Lane::Regular, Lane::Failing].into_iter().find_map(|lane| {
        let load = LaneLoad::of(lane, running.clone());
        let (_, position) = waiting
            .clone()
            .enumerate()
            .filter(|(_, fetch)| fetch.lane == lane)
            .filter_map(|(position, fetch)| Some((load.precedence(fetch)?, position)))
            .min()?;
        Some(position)
    })
}

/// Numbers of running fetches in a lane.
struct LaneLoad<'a> {
    limits: LaneLimits,
    total: usize,
    namespaces: HashMap<&'a str, usize>,
    hosts: HashMap<&'a str, usize>,
}

impl<'a> LaneLoad<'a> {
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

    /// The number of running fetches of the least busy namespace of a fetch; `None` if the fetch
    /// may not start.
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
