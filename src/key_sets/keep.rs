//! When sets are fetched: at once, before they age, and when a key is missed.

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

/// From the beginning of a fetch to one because a key is missed: what strangers write into tokens
/// must not become calls of an issuer.
pub const BETWEEN_MISSES: Duration = Duration::from_secs(60);

/// Keeps all sets fresh, for as long as somebody polls this: it never ends by itself.
///
/// A set is fetched when it is added, again before its answer ages, and, when a key is missed, as
/// soon as [`BETWEEN_MISSES`] has passed. Where a fetch fails, the keys that are known stay in force,
/// however long it takes, and it is tried again with growing waits, in the lane of what fails. Which of
/// several fetches comes first is decided in `schedule.rs`. A set that nobody holds any more
/// is not fetched again.
pub async fn keep_fresh(sets: Arc<KeySets>, connector: Arc<Connector>) {
    let by_connector = |url: Arc<Url>| {
        let connector = connector.clone();
        async move { fetch(&connector, &url).await }
    };
    keep_all(&sets, by_connector).await;
}

async fn keep_all<F: Future<Output = Result<Fetched, FetchError>>>(
    sets: &KeySets,
    fetch: impl Fn(Arc<Url>) -> F,
) {
    let slots = Slots::default();
    let mut kept = FuturesUnordered::new();
    loop {
        tokio::select! {
            set = sets.added() => kept.push(keep(set, &fetch, &slots)),
            () = sets.shared() => slots.users_changed(),
            Some(()) = kept.next() => {}
        }
    }
}

/// Keeps one set fresh; ends when nobody holds its keys any more.
async fn keep<F: Future<Output = Result<Fetched, FetchError>>>(
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
        let wait = take(&url, &keys, fetched, &mut failures);
        drop(keys);
        if !is_due(&set.keys, began, Instant::now() + wait).await {
            return;
        }
    }
}

/// Waits for a slot to fetch these keys in; `None` when nobody holds them any more.
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
            // That a key is missed changes nothing: it is about to be fetched.
            () = keys.news() => {}
        }
    }
    None
}

/// Takes an answer in; says how long to wait before the next fetch.
fn take(
    url: &Url,
    keys: &Keys,
    fetched: Result<Fetched, FetchError>,
    failures: &mut u32,
) -> Duration {
    // Not the query, which may hold a secret.
    let url = &url[..Position::AfterPath];
    // What was missed meanwhile is missed again, if it still is not there.
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
            let stay = "the key set is not fetched; the keys that are known stay in force";
            match failures {
                1 => tracing::warn!(url, %error, "{stay}"),
                _ => tracing::debug!(url, %error, failures, "{stay}"),
            }
            waits::after_failures(*failures)
        }
    }
}

/// Waits until a set is due, or a key is missed and the last fetch, which `began` then, long enough
/// ago; false when nobody holds its keys any more.
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
