//! Which key sets are asked for: one for each URL, for as long as somebody has its keys.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use url::Url;

use super::{Keys, WeakKeys};

/// Sets at once in a process: what tenants name must not make it fetch from everywhere, nor hold
/// without end what is found there.
pub const MAX_SETS: usize = 1024;

/// Of these, sets that one namespace uses. A set that several namespaces use counts for each of them.
pub const NAMESPACE_SETS: usize = MAX_SETS / 16;

/// Of these, sets of one host. More than [`NAMESPACE_SETS`], as namespaces share large issuers.
pub const HOST_SETS: usize = MAX_SETS / 4;

/// The longest URL of a set, in bytes.
pub const MAX_URL: usize = 2048;

/// The key sets that are asked for.
///
/// It knows nothing of how keys are fetched: whoever keeps them fresh takes each new set by
/// [`Self::added`].
#[derive(Default)]
pub struct KeySets {
    sets: Mutex<HashMap<Url, Entry>>,
    added: Notify,
    shared: Notify,
}

/// A set, as whoever keeps it fresh knows it.
#[derive(Debug)]
pub struct KeySet {
    /// Where it is: `https`, with neither a user name nor a password.
    pub url: Url,
    /// What to put its keys into.
    pub keys: WeakKeys,
}

struct Entry {
    keys: WeakKeys,
    is_taken: bool,
}

/// Why there are no keys for a URL. It does not repeat the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not a URL.
    #[error("invalid URL: {0}")]
    Malformed(#[from] url::ParseError),
    /// Whoever is on the way could put keys of their own in the place of the issuer's.
    #[error("the URL scheme must be https")]
    NotHttps,
    /// A resource is no place for a secret.
    #[error("the URL must not have a user name or a password")]
    Credentials,
    /// Longer than anyone's.
    #[error("the URL is longer than {MAX_URL} bytes")]
    TooLong,
    /// No more are taken until others are dropped.
    #[error("the limit of {MAX_SETS} key sets is reached")]
    TooMany,
    /// No more are taken from a namespace until it drops others.
    #[error(
        "its namespace uses {NAMESPACE_SETS} other key sets, which is as many as one may; \
         edit this webhook once the namespace uses fewer"
    )]
    NamespaceShare,
    /// No more are taken of a host until others are dropped.
    #[error("{HOST_SETS} other key sets of its host are in use, which is as many as there can be")]
    HostShare,
}

impl KeySets {
    /// The keys that a URL has, for a webhook of a namespace; they come later, if nobody asked for them before. They are kept
    /// fresh for as long as somebody holds them: who replaces a holder makes the new one first.
    ///
    /// # Errors
    /// See [`KeySetError`].
    pub fn keys(&self, namespace: &Arc<str>, url: &str) -> Result<Keys, KeySetError> {
        let url = accepted(url)?;
        let mut sets = self.sets();
        if let Some(keys) = sets.get(&url).and_then(|entry| entry.keys.of_user(namespace)) {
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
        sets.insert(url, Entry { keys: keys.downgrade(), is_taken: false });
        drop(sets);
        self.added.notify_one();
        Ok(keys)
    }

    /// Waits until a further namespace uses a set. For one caller at a time.
    pub async fn shared(&self) {
        self.shared.notified().await;
    }

    /// Takes a set that nobody took before; waits until there is one. For one caller at a time.
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

    fn sets(&self) -> MutexGuard<'_, HashMap<Url, Entry>> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many there are: a URL may have a query, which is not for logs.
impl fmt::Debug for KeySets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySets").field("len", &self.sets().len()).finish()
    }
}

fn count(sets: &HashMap<Url, Entry>, counts: impl Fn(&Url, &Entry) -> bool) -> usize {
    sets.iter().filter(|(url, entry)| counts(url, entry)).count()
}

fn accepted(url: &str) -> Result<Url, KeySetError> {
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
