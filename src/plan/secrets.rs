//! Cache of the Secrets that webhooks reference; other Secrets are not kept.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret as Object;
use zeroize::Zeroizing;

use super::input::Key;
use super::services::Reach;

/// The data of a Secret. Zeroed when the last copy is dropped; `Debug` does not show it.
#[derive(Clone, PartialEq)]
pub struct SecretInput {
    /// Namespace and name.
    pub key: Key,
    entries: Arc<Entries>,
}

type Entries = BTreeMap<Box<str>, Zeroizing<Vec<u8>>>;

impl SecretInput {
    /// Takes the data of a Secret.
    pub fn of(secret: Object) -> Self {
        let key = Key::of(&secret);
        let data = secret.data.unwrap_or_default().into_iter();
        let mut entries: Entries =
            data.map(|(name, bytes)| (name.into(), Zeroizing::new(bytes.0))).collect();
        // Only manifests have `stringData`: the API server converts it to `data`.
        let texts = secret.string_data.unwrap_or_default().into_iter();
        entries.extend(texts.map(|(name, text)| (name.into(), Zeroizing::new(text.into_bytes()))));
        Self { key, entries: Arc::new(entries) }
    }

    /// The value of a key.
    pub fn entry(&self, name: &str) -> Option<&[u8]> {
        self.entries.get(name).map(|bytes| &***bytes)
    }
}

impl fmt::Debug for SecretInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretInput({}, ..)", self.key)
    }
}

/// See the module documentation.
#[derive(Debug)]
pub struct Secrets {
    /// Whether unreferenced Secrets are kept, for sources that send each Secret once.
    keeps_all: bool,
    named: HashMap<Key, BTreeSet<Key>>,
    states: HashMap<Key, State>,
}

#[derive(Debug)]
enum State {
    Missing,
    There(SecretInput),
}

/// State of a referenced Secret.
#[derive(Clone, Copy, Debug)]
pub enum KnownSecret<'a> {
    /// It is being loaded.
    NotYet,
    /// It does not exist, or cannot be read.
    Missing,
    /// It is loaded.
    There(&'a SecretInput),
}

impl Secrets {
    /// An empty cache, for the same sources as that of Services.
    pub fn new(reach: Reach) -> Self {
        let keeps_all = reach == Reach::Address;
        Self { keeps_all, named: HashMap::new(), states: HashMap::new() }
    }

    /// Replaces the references of a webhook; returns the Secrets whose first reference was added or
    /// last one removed.
    pub fn set_references(
        &mut self,
        webhook: &Key,
        before: &BTreeSet<Key>,
        now: &BTreeSet<Key>,
    ) -> Vec<Key> {
        let mut changed = Vec::new();
        for secret in now.difference(before) {
            let webhooks = self.named.entry(secret.clone()).or_default();
            if webhooks.is_empty() {
                changed.push(secret.clone());
            }
            webhooks.insert(webhook.clone());
        }
        for secret in before.difference(now) {
            let Some(webhooks) = self.named.get_mut(secret) else { continue };
            webhooks.remove(webhook);
            if webhooks.is_empty() {
                self.named.remove(secret);
                self.forget(secret);
                changed.push(secret.clone());
            }
        }
        if self.keeps_all { Vec::new() } else { changed }
    }

    /// Whether any webhook references a Secret.
    pub fn is_named(&self, secret: &Key) -> bool {
        self.named.contains_key(secret)
    }

    /// The webhooks that reference a Secret.
    pub fn webhooks(&self, secret: &Key) -> Vec<Key> {
        self.named.get(secret).into_iter().flatten().cloned().collect()
    }

    /// The state of a Secret.
    pub fn known(&self, secret: &Key) -> KnownSecret<'_> {
        match self.states.get(secret) {
            Some(State::There(input)) => KnownSecret::There(input),
            None if !self.keeps_all => KnownSecret::NotYet,
            _ => KnownSecret::Missing,
        }
    }

    /// Stores a Secret; returns whether it changed.
    pub fn put(&mut self, input: SecretInput) -> bool {
        if !self.keeps_all && !self.is_named(&input.key) {
            return false;
        }
        let is_known =
            matches!(self.states.get(&input.key), Some(State::There(before)) if *before == input);
        if !is_known {
            self.states.insert(input.key.clone(), State::There(input));
        }
        !is_known
    }

    /// Records that a Secret is missing; returns whether that is a change.
    pub fn remove(&mut self, secret: &Key) -> bool {
        if self.keeps_all {
            return self.states.remove(secret).is_some();
        }
        if !self.is_named(secret) || matches!(self.states.get(secret), Some(State::Missing)) {
            return false;
        }
        self.states.insert(secret.clone(), State::Missing);
        true
    }

    /// The Secrets that are referenced or kept, not in `listed`, and not known to be missing.
    pub fn missing(&self, listed: &HashSet<Key>) -> Vec<Key> {
        let is_missing = |secret: &&Key| {
            !listed.contains(*secret) && !matches!(self.states.get(*secret), Some(State::Missing))
        };
        let all: BTreeSet<_> = self.named.keys().chain(self.states.keys()).collect();
        all.into_iter().filter(is_missing).cloned().collect()
    }

    fn forget(&mut self, secret: &Key) {
        if !self.keeps_all {
            self.states.remove(secret);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(name: &str) -> Key {
        Key::new("team-a", name)
    }

    fn secret(name: &str, text: &str) -> SecretInput {
        let object = json!({
            "metadata": {"name": name, "namespace": "team-a"}, "stringData": {"secret": text},
        });
        SecretInput::of(serde_json::from_value(object).unwrap())
    }

    fn names(names: &[&str]) -> BTreeSet<Key> {
        names.iter().map(|name| key(name)).collect()
    }

    #[test]
    fn only_what_a_webhook_names_is_kept_and_only_while_one_does() {
        let mut secrets = Secrets::new(Reach::Endpoints);
        assert!(!secrets.put(secret("gh", "a")));
        let (one, two) = (key("one"), key("two"));
        assert_eq!(secrets.set_references(&one, &names(&[]), &names(&["gh"])), [key("gh")]);
        assert!(matches!(secrets.known(&key("gh")), KnownSecret::NotYet));
        assert!(secrets.put(secret("gh", "a")) && !secrets.put(secret("gh", "a")));
        assert!(secrets.put(secret("gh", "b")));
        assert_eq!(secrets.set_references(&two, &names(&[]), &names(&["gh"])), []);
        assert_eq!(secrets.webhooks(&key("gh")), [one.clone(), two.clone()]);
        assert_eq!(secrets.set_references(&one, &names(&["gh"]), &names(&[])), []);
        assert!(matches!(secrets.known(&key("gh")), KnownSecret::There(_)));
        assert_eq!(
            secrets.set_references(&two, &names(&["gh"]), &names(&["other"])),
            [key("other"), key("gh")]
        );
        assert!(matches!(secrets.known(&key("gh")), KnownSecret::NotYet));
        assert_eq!(secrets.missing(&HashSet::new()), [key("other")]);
        assert!(secrets.remove(&key("other")) && !secrets.remove(&key("other")));
        assert!(matches!(secrets.known(&key("other")), KnownSecret::Missing));
        assert_eq!(secrets.missing(&HashSet::new()), []);
    }

    #[test]
    fn where_each_is_told_once_all_are_kept() {
        let mut secrets = Secrets::new(Reach::Address);
        assert!(secrets.put(secret("gh", "a")));
        assert_eq!(secrets.set_references(&key("one"), &names(&[]), &names(&["gh", "none"])), []);
        assert!(matches!(secrets.known(&key("gh")), KnownSecret::There(_)));
        assert!(matches!(secrets.known(&key("none")), KnownSecret::Missing));
        assert!(secrets.remove(&key("gh")));
        assert!(matches!(secrets.known(&key("gh")), KnownSecret::Missing));
    }

    #[test]
    fn nothing_shows_what_is_in_a_secret() {
        let secret = secret("gh", "hunter2");
        assert_eq!(secret.entry("secret"), Some(&b"hunter2"[..]));
        assert_eq!(format!("{secret:?}"), "SecretInput(team-a/gh, ..)");
    }
}
