//! The claims of apps to UUIDs, and the namespaces that own UUIDs.
//!
//! Trigger URLs and all stored data are keyed by the UUID, and anyone who knows a URL knows the
//! UUID. Therefore a UUID never passes to another namespace when its app is deleted: the namespace
//! that used it stays its owner. Only an app whose UUID is derived from its own name takes
//! precedence over the owner, because no other object could have derived that UUID.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use crate::plan::input::Key;

/// Strength of a claim; the least value wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// Whether the UUID was set in the spec instead of derived from the namespace and name.
    pub is_adopted: bool,
    /// When the object was created.
    pub created: i64,
}

impl Rank {
    /// The strongest claim.
    pub const FIRST: Self = Self { is_adopted: false, created: i64::MIN };
}

/// The claims of all apps, and the owners of UUIDs.
#[derive(Debug, Default)]
pub struct Claims {
    claims: BTreeSet<(Uuid, Rank, Key)>,
    owners: HashMap<Uuid, Arc<str>>,
    /// Whether all apps are known; no owner is recorded before.
    is_recording: bool,
    /// Owners that changed and were not returned yet.
    changed: BTreeSet<Uuid>,
}

impl Claims {
    /// Adds an app's claim to a UUID.
    pub fn insert(&mut self, uuid: Uuid, rank: Rank, key: Key) {
        self.claims.insert((uuid, rank, key));
    }

    /// Removes an app's claim to a UUID. Its namespace stays the owner.
    pub fn remove(&mut self, uuid: Uuid, rank: Rank, key: &Key) {
        self.claims.remove(&(uuid, rank, key.clone()));
    }

    /// The apps that claim a UUID, strongest claim first.
    pub fn of(&self, uuid: Uuid) -> impl Iterator<Item = &Key> {
        self.ranked(uuid).map(|(_, key)| key)
    }

    /// The app that gets a UUID: the strongest claim that the owner permits.
    pub fn keeper(&self, uuid: Uuid) -> Option<&Key> {
        let owner = self.owners.get(&uuid);
        let is_permitted = |rank: Rank, key: &Key| {
            !rank.is_adopted || owner.is_none_or(|owner| *owner == key.namespace)
        };
        self.ranked(uuid).find(|(rank, key)| is_permitted(*rank, key)).map(|(_, key)| key)
    }

    /// Records the owner of a UUID, if an app has the UUID.
    pub fn record(&mut self, uuid: Uuid) {
        if !self.is_recording {
            return;
        }
        if let Some(namespace) = self.keeper(uuid).map(|key| key.namespace.clone()) {
            let before = self.owners.insert(uuid, namespace.clone());
            if before.is_none_or(|before| before != namespace) {
                self.changed.insert(uuid);
            }
        }
    }

    /// Records the owners of all UUIDs, and each change from now on.
    pub fn record_all(&mut self) {
        self.is_recording = true;
        let uuids: BTreeSet<Uuid> = self.claims.iter().map(|claim| claim.0).collect();
        uuids.into_iter().for_each(|uuid| self.record(uuid));
    }

    /// Restores owners that were recorded earlier.
    pub fn restore(&mut self, owners: impl IntoIterator<Item = (Uuid, Arc<str>)>) {
        self.owners.extend(owners);
    }

    /// The owners that changed since the last call.
    pub fn take_changed(&mut self) -> Vec<(Uuid, Arc<str>)> {
        let changed = std::mem::take(&mut self.changed).into_iter();
        changed.filter_map(|uuid| Some((uuid, self.owners.get(&uuid)?.clone()))).collect()
    }

    /// The owners whose app exists.
    pub fn present(&self) -> impl Iterator<Item = (Uuid, Arc<str>)> {
        let present = self.owners.iter().filter(|(uuid, _)| self.keeper(**uuid).is_some());
        present.map(|(uuid, namespace)| (*uuid, namespace.clone()))
    }

    fn ranked(&self, uuid: Uuid) -> impl Iterator<Item = (Rank, &Key)> {
        let from = (uuid, Rank::FIRST, Key::new("", ""));
        let claims = self.claims.range(from..).take_while(move |claim| claim.0 == uuid);
        claims.map(|(_, rank, key)| (*rank, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: Uuid = Uuid::from_u128(7);
    const ADOPTED: Rank = Rank { is_adopted: true, created: 5 };
    const OLDER: Rank = Rank { is_adopted: true, created: 1 };
    const DERIVED: Rank = Rank { is_adopted: false, created: 9 };

    fn claims(all: &[(Rank, &str, &str)]) -> Claims {
        let mut claims = Claims::default();
        for (rank, namespace, name) in all {
            claims.insert(UUID, *rank, Key::new(*namespace, *name));
        }
        claims
    }

    fn keeper(claims: &Claims) -> Option<String> {
        claims.keeper(UUID).map(ToString::to_string)
    }

    #[test]
    fn a_derived_uuid_wins_over_an_older_adopted_one_and_age_decides_among_adopted_ones() {
        let all = claims(&[(ADOPTED, "a", "x"), (OLDER, "b", "x"), (DERIVED, "c", "x")]);
        assert_eq!(keeper(&all).as_deref(), Some("c/x"));
        let all = claims(&[(ADOPTED, "a", "x"), (OLDER, "b", "x")]);
        assert_eq!(keeper(&all).as_deref(), Some("b/x"));
    }

    #[test]
    fn a_uuid_never_passes_to_another_namespace_but_to_the_app_that_it_is_derived_from() {
        let mut all = claims(&[(ADOPTED, "a", "x"), (OLDER, "b", "x")]);
        all.record_all();
        all.remove(UUID, OLDER, &Key::new("b", "x"));
        all.record(UUID);
        assert_eq!(keeper(&all), None);
        all.insert(UUID, ADOPTED, Key::new("b", "again"));
        all.record(UUID);
        assert_eq!(keeper(&all).as_deref(), Some("b/again"));
        all.insert(UUID, DERIVED, Key::new("c", "x"));
        all.record(UUID);
        assert_eq!(keeper(&all).as_deref(), Some("c/x"));
        all.remove(UUID, DERIVED, &Key::new("c", "x"));
        all.record(UUID);
        assert_eq!(keeper(&all), None, "the namespace of the derived UUID is its owner now");
    }

    #[test]
    fn what_was_recorded_before_a_restart_still_counts() {
        let mut all = Claims::default();
        all.restore([(UUID, Arc::from("a"))]);
        all.insert(UUID, OLDER, Key::new("b", "x"));
        all.record_all();
        assert_eq!(keeper(&all), None);
        assert_eq!(all.take_changed(), []);
        all.insert(UUID, DERIVED, Key::new("c", "x"));
        all.record(UUID);
        assert_eq!(all.take_changed(), [(UUID, Arc::from("c"))]);
    }
}
