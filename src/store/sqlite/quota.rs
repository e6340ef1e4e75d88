//! How much of the store one tenant may take, and whose ended deliveries make room. Pure.
//!
//! A namespace may hold half of the bytes, and one app of it three quarters of that: one tenant that is flooded
//! leaves room to the others, and one app to its neighbours. When the store as a whole runs short, whoever holds more
//! than an equal share is refused first. Room is made at the expense of who takes most: what succeeded before what is
//! dead, and never what is dead of those below their share. What is undelivered is never deleted.

use std::cmp::Reverse;

use super::stored_bytes::{Holding, Namespace, StoredBytes};
use crate::store::State;

/// The shares of a store.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    namespace: i64,
    app: i64,
}

/// Deliveries that make room: those of the app with this key that have ended in this state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clearance {
    /// The key of the app's row.
    pub app: i64,
    /// [`State::Succeeded`] or [`State::Dead`].
    pub state: State,
}

impl Quota {
    /// The shares of a store of so many bytes.
    pub fn of(max_bytes: u64) -> Self {
        let namespace = i64::try_from(max_bytes / 2).unwrap_or(i64::MAX);
        Self { namespace, app: namespace / 4 * 3 }
    }

    /// Whether an app, whose row has this key, may store so many bytes more; `is_scarce` when the store as a whole runs short.
    pub fn admits(
        self,
        stored: &StoredBytes,
        key: i64,
        namespace: Namespace,
        bytes: i64,
        is_scarce: bool,
    ) -> bool {
        stored.of_app(key) + bytes <= self.app
            && stored.of_namespace(namespace) + bytes <= self.namespace
            && !(is_scarce && has_more_than_equal_share(stored, namespace))
    }

    /// Whether an app holds nine tenths of its share, or its namespace does.
    pub fn is_nearly_full(self, stored: &StoredBytes, key: i64, namespace: Namespace) -> bool {
        let is_nearly = |bytes: i64, share: i64| bytes > share - share / 10;
        is_nearly(stored.of_app(key), self.app)
            || is_nearly(stored.of_namespace(namespace), self.namespace)
    }

    /// Whose ended deliveries make room, in this order; none when there is room enough.
    pub fn clearances(self, stored: &StoredBytes, is_scarce: bool) -> Vec<Clearance> {
        let mut apps: Vec<Holding> = stored.all().collect();
        apps.sort_by_key(|holding| {
            let namespace = holding.app.namespace();
            Reverse((stored.of_namespace(namespace), namespace, holding.bytes, holding.key))
        });
        let clearance = |state| move |of: &Holding| Clearance { app: of.key, state };
        let (succeeded, dead) = (clearance(State::Succeeded), clearance(State::Dead));
        let full = |of: &&Holding| self.is_nearly_full(stored, of.key, of.app.namespace());
        let mut order = Vec::new();
        for holding in apps.iter().filter(full) {
            order.extend([succeeded(holding), dead(holding)]);
        }
        if is_scarce {
            order.extend(apps.iter().map(succeeded));
            let largest = apps.first().map(|holding| holding.app.namespace());
            let is_largest = |of: &&Holding| Some(of.app.namespace()) == largest;
            order.extend(apps.iter().filter(is_largest).map(dead));
        }
        order
    }
}

fn has_more_than_equal_share(stored: &StoredBytes, namespace: Namespace) -> bool {
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

    fn order(apps: &[(&str, i64)], is_scarce: bool) -> Vec<(i64, State)> {
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
        assert!(admits(&[("a", 500)], 100, true), "alone it has more than nobody else");
        assert!(!admits(&[("a", 500), ("b", 400)], 1, true), "b goes first");
        assert!(admits(&[("a", 500), ("b", 400)], 1, false));
    }

    #[test]
    fn who_takes_too_much_makes_room_first_and_the_dead_of_others_stay() {
        use State::{Dead, Succeeded};
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
        /// However much the others hold, a namespace below an equal share keeps what is dead and is admitted.
        #[test]
        fn a_quiet_namespace_is_neither_refused_nor_cleared_of_what_is_dead(
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
            let dead = Clearance { app: 1, state: State::Dead };
            prop_assert!(!quota.clearances(&stored, is_scarce).contains(&dead));
        }
    }
}
