//! The key sets in use: one per URL, for as long as a webhook holds its keys.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use url::Url;

use super::{Keys, WeakKeys};

/// The number of key sets in a process: tenants name the URLs, and must make neither the number of
/// fetches nor the memory unbounded.
pub const MAX_SETS: usize = 1024;

/// The number of sets that one namespace may use. A set that several namespaces use counts for each
/// of them.
pub const NAMESPACE_SETS: usize = MAX_SETS / 16;

/// The number of sets of one host. More than [`NAMESPACE_SETS`], as namespaces share large issuers.
pub const HOST_SETS: usize = MAX_SETS / 4;

/// The longest URL of a set, in bytes.
pub const MAX_URL: usize = 2048;

/// The key sets in use.
///
/// This type does not fetch keys: the fetcher takes each new set with [`Self::added`].
#[derive(Default)]
pub struct KeySets {
    sets: Mutex<HashMap<Url, KeySetEntry>>,
    added: Notify,
    shared: Notify,
}

/// A key set, as the fetcher sees it.
#[derive(Debug)]
pub struct KeySet {
    /// The URL: `https`, without a user name or a password.
    pub url: Url,
    /// The handle that receives the fetched keys.
    pub keys: WeakKeys,
}

struct KeySetEntry {
    keys: WeakKeys,
    is_taken: bool,
}

/// The reason for rejecting a URL. It does not repeat the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// The text is not a URL.
    #[error("invalid URL: {0}")]
    Malformed(#[from] url::ParseError),
    /// Without TLS, an attacker on the network could replace the issuer's keys.
    #[error("the URL scheme must be https")]
    NotHttps,
    /// Resources are not a place for secrets.
    #[error("the URL must not have a user name or a password")]
    Credentials,
    /// Longer than the URL of any known issuer.
    #[error("the URL is longer than {MAX_URL} bytes")]
    TooLong,
    /// The process reached its limit.
    #[error("the limit of {MAX_SETS} key sets is reached")]
    TooMany,
    /// The namespace reached its limit.
    #[error(
        "its namespace uses {NAMESPACE_SETS} other key sets, which is the limit; \
         edit this webhook once the namespace uses fewer"
    )]
    NamespaceShare,
    /// The host reached its limit.
    #[error("{HOST_SETS} other key sets of its host are in use, which is the limit")]
    HostShare,
}

impl KeySets {
    /// Returns the keys of a URL for a webhook of a namespace. A new set is empty until its first
    /// fetch. Keys are refreshed for as long as a handle exists; to replace a handle without a gap,
    /// create the new one before dropping the old one.
    ///
    /// # Errors
    /// See [`KeySetError`].
    pub fn keys(&self, namespace: &Arc<str>, url: &str) -> Result<Keys, KeySetError> {
        let url = parse_url(url)?;
        let mut sets = self.sets();
        if let Some(keys) = sets.get(&url).and_then(|entry| entry.keys.handle_of(namespace)) {
            return Ok(keys);
        }
        sets.retain(|_, entry| !entry.keys.is_dropped());
        if count(&sets, |_, entry| entry.keys.has_user(namespace)) >= NAMESPACE_SETS {
            return Err(KeySetError::NamespaceShare);
        }
        if let Some(keys) = sets.get(&url).and_then(|entry| entry.keys.add_user(namespace)) {
            self.shared.notify_one();
            return Ok(keys);
        }
        if sets.len() >= MAX_SETS {
            return Err(KeySetError::TooMany);
        }
        if count(&sets, |other, _| other.host() == url.host()) >= HOST_SETS {
            return Err(KeySetError::HostShare);
        }
        let keys = Keys::used_by(namespace);
        sets.insert(url, KeySetEntry { keys: keys.downgrade(), is_taken: false });
        drop(sets);
        self.added.notify_one();
        Ok(keys)
    }

    /// Waits until another namespace uses a set. For one caller at a time.
    pub async fn shared(&self) {
        self.shared.notified().await;
    }

    /// Takes a set that has not been taken yet; waits until one exists. For one caller at a time.
    pub async fn added(&self) -> KeySet {
        loop {
            let added = self.added.notified();
            if let Some(set) = self.take() {
                return set;
            }
            added.await;
        }
    }

    fn take(&self) -> Option<KeySet> {
        let mut sets = self.sets();
        let (url, entry) = sets.iter_mut().find(|(_, entry)| !entry.is_taken)?;
        entry.is_taken = true;
        Some(KeySet { url: url.clone(), keys: entry.keys.clone() })
    }

    fn sets(&self) -> MutexGuard<'_, HashMap<Url, KeySetEntry>> {
        self.sets.lock()
    }
}

/// Shows only the number of sets: a URL may have a query, which must not be logged.
impl fmt::Debug for KeySets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySets").field("len", &self.sets().len()).finish()
    }
}

fn count(sets: &HashMap<Url, KeySetEntry>, counts: impl Fn(&Url, &KeySetEntry) -> bool) -> usize {
    sets.iter().filter(|(url, entry)| counts(url, entry)).count()
}

fn parse_url(url: &str) -> Result<Url, KeySetError> {
    if url.len() > MAX_URL {
        return Err(KeySetError::TooLong);
    }
    let mut url = Url::parse(url)?;
    if url.scheme() != "https" {
        return Err(KeySetError::NotHttps);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(KeySetError::Credentials);
    }
    url.set_fragment(None);
    Ok(url)
}
