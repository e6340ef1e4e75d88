//! The age of the oldest undelivered delivery of each app, in whole seconds. Kept in memory, so
//! that metrics do not query the database.

use std::collections::{BTreeMap, HashMap};

use super::codec;
use crate::moment::Moment;
use crate::routes::AppId;
use crate::store::ids;

/// Number of undelivered deliveries by app and second of creation.
#[derive(Debug, Default)]
pub struct Ages(HashMap<AppId, BTreeMap<u64, i64>>);

impl Ages {
    /// Adds `by` to the deliveries created in the same second as the delivery with this key.
    /// Negative for finished ones.
    pub fn add(&mut self, app: AppId, key: i64, by: i64) {
        let second = ids::moment(codec::id(key, 0)).0 / 1000;
        let seconds = self.0.entry(app).or_default();
        let count = seconds.entry(second).or_default();
        *count += by;
        if *count == 0 {
            seconds.remove(&second);
            if seconds.is_empty() {
                self.0.remove(&app);
            }
        }
    }

    /// When the oldest delivery of each app was created, rounded down to the second.
    pub fn oldest(&self) -> impl Iterator<Item = (AppId, Moment)> + '_ {
        let first = |seconds: &BTreeMap<u64, i64>| seconds.keys().next().copied();
        self.0.iter().filter_map(move |(app, seconds)| Some((*app, Moment(first(seconds)? * 1000))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_the_first_created_undelivered_one() {
        let key =
            |second: u64| codec::key(ids::from_parts(ids::first_key(Moment(second * 1000)), 7));
        let (mut ages, app) = (Ages::default(), AppId::new("team", uuid::Uuid::from_u128(1)));
        for second in [30, 10, 10, 20] {
            ages.add(app, key(second), 1);
        }
        let oldest = |ages: &Ages| ages.oldest().next().map(|(_, moment)| moment.0 / 1000);
        ages.add(app, key(10), -1);
        assert_eq!(oldest(&ages), Some(10));
        ages.add(app, key(10), -1);
        assert_eq!(oldest(&ages), Some(20));
        ages.add(app, key(20), -1);
        ages.add(app, key(30), -1);
        assert_eq!(oldest(&ages), None);
        assert!(ages.0.is_empty());
    }
}
