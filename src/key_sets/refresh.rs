//! Decides when sets are fetched: when they are added, before they expire, and when a key is
//! missed.

use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, timeout_at};
use url::{Position, Url};

use super::fetch::{FetchError, Fetched, fetch};
use super::schedule::Lane;
use super::slots::{Slot, Slots};
use super::waits;
use crate::delivery::Connector;
use crate::verify::jwt::{KeySet, KeySets, Keys, WeakKeys};

/// Minimum time from the start of a fetch to the next one that a missed key causes. The key ID of a
/// token is untrusted input: unknown key IDs must not flood an issuer with requests.
pub const BETWEEN_MISSES: Duration = Duration::from_secs(60);

/// Keeps all sets fresh. Never completes.
///
/// A set is fetched when it is added, again before its lifetime ends, and, after a missed key, as
/// soon as [`BETWEEN_MISSES`] has passed. If a fetch fails, the known keys stay in force without a
/// time limit, and the fetch is retried with increasing delays; failing sets have slots of their
/// own. `schedule.rs` decides the order of concurrent fetches. A set is no longer fetched once all
/// holders of its keys have dropped them.
pub async fn keep_fresh(sets: Arc<KeySets>, connector: Arc<Connector>) {
    let by_connector = |url: Arc<Url>| {
        let connector = connector.clone();
        async move { fetch(&connector, &url).await }
    };
    refresh_all(&sets, by_connector).await;
}

async fn refresh_all<F: Future<Output = Result<Fetched, FetchError>>>(
    sets: &KeySets,
    fetch: impl Fn(Arc<Url>) -> F,
) {
    let slots = Slots::default();
    let mut refreshing = FuturesUnordered::new();
    loop {
        tokio::select! {
            set = sets.added() => refreshing.push(refresh(set, &fetch, &slots)),
            () = sets.shared() => slots.users_changed(),
            Some(()) = refreshing.next() => {}
        }
    }
}

/// Keeps one set fresh until its keys are dropped.
async fn refresh<F: Future<Output = Result<Fetched, FetchError>>>(
    set: KeySet,
    fetch: impl Fn(Arc<Url>) -> F,
    slots: &Slots,
) {
    let url = Arc::new(set.url);
    let host = Arc::from(url.host_str().unwrap_or_default());
    let mut failures = 0;
    loop {
        let lane = if failures == 0 { Lane::Regular } else { Lane::Failing };
        let Some(slot) = slot(slots, &set.keys, &host, lane).await else { return };
        let began = Instant::now();
        let fetched = fetch(url.clone()).await;
        drop(slot);
        let Some(keys) = set.keys.upgrade() else { return };
        let wait = apply(&url, &keys, fetched, &mut failures);
        drop(keys);
        if !is_due(&set.keys, began, Instant::now() + wait).await {
            return;
        }
    }
}

/// Waits for a slot for a fetch of these keys; `None` once the keys are dropped.
async fn slot<'s>(
    slots: &'s Slots,
    keys: &WeakKeys,
    host: &Arc<str>,
    lane: Lane,
) -> Option<Slot<'s>> {
    let mut acquired = pin!(slots.acquire(keys, host, lane));
    while !keys.is_dropped() {
        tokio::select! {
            slot = &mut acquired => return (!keys.is_dropped()).then_some(slot),
            // A missed key changes nothing, since the set is about to be fetched.
            () = keys.news() => {}
        }
    }
    None
}

/// Applies the result of a fetch. Returns the delay until the next one.
fn apply(
    url: &Url,
    keys: &Keys,
    fetched: Result<Fetched, FetchError>,
    failures: &mut u32,
) -> Duration {
    // The query is not logged, because it may contain a secret.
    let url = &url[..Position::AfterPath];
    // Clears the keys that were missed during the fetch: if a key is still unknown, the next token
    // that needs it reports it again.
    keys.settle();
    match fetched {
        Ok(Fetched { keys: new, lifetime }) => {
            keys.set(new);
            if mem::take(failures) > 0 {
                tracing::info!(url, "the key set is fetched again");
            }
            waits::before_end_of(lifetime)
        }
        Err(error) => {
            *failures = failures.saturating_add(1);
            // Only the first failure is a warning, so that an outage does not flood the log.
            let message = "cannot fetch the key set; the known keys stay in force";
            match failures {
                1 => tracing::warn!(url, %error, "{message}"),
                _ => tracing::debug!(url, %error, failures, "{message}"),
            }
            waits::after_failures(*failures)
        }
    }
}

/// Waits until a set is due. A missed key makes it due [`BETWEEN_MISSES`] after `began`, the start
/// of the last fetch. Returns false once the keys are dropped.
async fn is_due(keys: &WeakKeys, began: Instant, mut due: Instant) -> bool {
    loop {
        let news = timeout_at(due, keys.news()).await;
        let Some(keys) = keys.upgrade() else { return false };
        if news.is_err() {
            return true;
        }
        if keys.is_missed() {
            due = due.min(began + BETWEEN_MISSES);
        }
    }
}

#[cfg(test)]
mod tests;
