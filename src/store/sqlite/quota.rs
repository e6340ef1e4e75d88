//! Limits the space of each tenant, and selects the finished deliveries to delete to free space.
//! Pure.
//!
//! A namespace may use half of the bytes, and an app three quarters of that. So one flooded tenant
//! leaves space for others, and one app for the other apps of its namespace. When the store is
//! running out of space, namespaces that use more than an equal share are rejected first. Space is
//! freed from the largest users first, succeeded deliveries before dead ones. Dead deliveries are
//! only deleted of apps or namespaces near their share and of the largest namespace. Undelivered
//! events are never deleted.

use std::cmp::Reverse;

use super::stored_bytes::{AppBytes, NamespaceDigest, StoredBytes};
use crate::store::DeliveryState;

/// The maximum bytes of each namespace and each app.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    namespace: i64,
    app: i64,
}

/// Deliveries to delete to free space: those of an app that finished in this state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clearance {
    /// The key of the app's row.
    pub app: i64,
    /// [`DeliveryState::Succeeded`] or [`DeliveryState::Dead`].
    pub state: DeliveryState,
}

impl Quota {
    /// The shares of a store with this maximum size in bytes.
    pub fn of(max_bytes: u64) -> Self {
        let namespace = i64::try_from(max_bytes / 2).unwrap_or(i64::MAX);
        Self { namespace, app: namespace / 4 * 3 }
    }

    /// Whether the app with this row key may store `bytes` more. `is_scarce` means that the store
    /// is running out of space.
    pub fn admits(
        self,
        stored: &StoredBytes,
        key: i64,
        namespace: NamespaceDigest,
        bytes: i64,
        is_scarce: bool,
    ) -> bool {
        stored.of_app(key) + bytes <= self.app
            && stored.of_namespace(namespace) + bytes <= self.namespace
            && !(is_scarce && has_more_than_equal_share(stored, namespace))
    }

    /// Whether an app or its namespace uses more than nine tenths of its share.
    pub fn is_nearly_full(
        self,
        stored: &StoredBytes,
        key: i64,
        namespace: NamespaceDigest,
    ) -> bool {
        let exceeds = |bytes: i64, share: i64| bytes > share - share / 10;
        exceeds(stored.of_app(key), self.app)
            || exceeds(stored.of_namespace(namespace), self.namespace)
    }

    /// The deliveries to delete to free space, in this order; empty if there is enough space.
    pub fn clearances(self, stored: &StoredBytes, is_scarce: bool) -> Vec<Clearance> {
        let mut apps: Vec<AppBytes> = stored.all().collect();
        apps.sort_by_key(|app| {
            let namespace = app.id.namespace();
            Reverse((stored.of_namespace(namespace), namespace, app.bytes, app.key))
        });
        let clearance = |state| move |app: &AppBytes| Clearance { app: app.key, state };
        let (succeeded, dead) =
            (clearance(DeliveryState::Succeeded), clearance(DeliveryState::Dead));
        let is_nearly_full =
            |app: &&AppBytes| self.is_nearly_full(stored, app.key, app.id.namespace());
        let mut order = Vec::new();
        for app in apps.iter().filter(is_nearly_full) {
            order.extend([succeeded(app), dead(app)]);
        }
        if is_scarce {
            order.extend(apps.iter().map(succeeded));
            let largest = apps.first().map(|app| app.id.namespace());
            let is_largest = |app: &&AppBytes| Some(app.id.namespace()) == largest;
            order.extend(apps.iter().filter(is_largest).map(dead));
        }
        order
    }
}

fn has_more_than_equal_share(stored: &StoredBytes, namespace: NamespaceDigest) -> bool {
    let (total, namespaces) = stored.total();
    stored.of_namespace(namespace).saturating_mul(namespaces as i64) > total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::AppId;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn app(namespace: &str, number: u128) -> AppId {
        AppId::new(namespace, Uuid::from_u128(number))
    }

    /// Apps as (namespace, bytes), with keys from 1.
    fn stored(apps: &[(&str, i64)]) -> StoredBytes {
        let mut stored = StoredBytes::default();
        for (key, (namespace, bytes)) in (1..).zip(apps) {
            stored.change(key, app(namespace, key as u128), *bytes);
        }
        stored
    }

    fn order(apps: &[(&str, i64)], is_scarce: bool) -> Vec<(i64, DeliveryState)> {
        let order = Quota::of(1600).clearances(&stored(apps), is_scarce);
        order.into_iter().map(|Clearance { app, state }| (app, state)).collect()
    }

    #[test]
    fn an_app_and_a_namespace_have_their_shares() {
        let quota = Quota::of(1600);
        let admits = |apps: &[(&str, i64)], bytes, is_scarce| {
            quota.admits(&stored(apps), 1, app("a", 1).namespace(), bytes, is_scarce)
        };
        assert!(admits(&[("a", 500)], 100, false) && !admits(&[("a", 500)], 101, false));
        assert!(admits(&[("a", 0), ("a", 300), ("a", 400)], 100, false));
        assert!(!admits(&[("a", 0), ("a", 300), ("a", 400)], 101, false));
        assert!(admits(&[("a", 500)], 100, true), "the only namespace is within an equal share");
        assert!(!admits(&[("a", 500), ("b", 400)], 1, true), "a exceeds an equal share");
        assert!(admits(&[("a", 500), ("b", 400)], 1, false));
    }

    #[test]
    fn the_largest_users_are_deleted_first_and_dead_deliveries_of_others_stay() {
        use DeliveryState::{Dead, Succeeded};
        assert_eq!(order(&[("a", 500), ("b", 500)], false), []);
        assert_eq!(order(&[("a", 560), ("b", 500)], false), [(1, Succeeded), (1, Dead)]);
        let of_namespace = [(1, Succeeded), (1, Dead), (2, Succeeded), (2, Dead)];
        assert_eq!(order(&[("a", 400), ("a", 360), ("b", 500)], false), of_namespace);
        assert_eq!(
            order(&[("b", 300), ("a", 350), ("a", 100)], true),
            [(2, Succeeded), (3, Succeeded), (1, Succeeded), (2, Dead), (3, Dead)]
        );
    }

    proptest! {
        /// A namespace below an equal share is admitted and keeps its dead deliveries, whatever
        /// others store.
        #[test]
        fn a_quiet_namespace_is_admitted_and_keeps_its_dead_deliveries(
            others in proptest::collection::vec((0..3_usize, 1..600_i64), 1..8),
            quiet in 1..100_i64,
            is_scarce: bool,
        ) {
            let name = |number: usize| ["a", "b", "c"][number];
            let mut apps = vec![("quiet", quiet)];
            apps.extend(others.iter().map(|(number, bytes)| (name(*number), *bytes)));
            let stored = stored(&apps);
            let (total, namespaces) = stored.total();
            prop_assume!(quiet * (namespaces as i64) < total);
            let quota = Quota::of(1600);
            let namespace = app("quiet", 1).namespace();
            prop_assert!(quota.admits(&stored, 1, namespace, 1, is_scarce));
            let dead = Clearance { app: 1, state: DeliveryState::Dead };
            prop_assert!(!quota.clearances(&stored, is_scarce).contains(&dead));
        }
    }
}
