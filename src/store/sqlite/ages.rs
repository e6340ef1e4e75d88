//! How old the oldest undelivered delivery of each app is, to the second: in memory, without a look at
//! the file.

use std::collections::{BTreeMap, HashMap};

use super::codec;
use crate::moment::Moment;
use crate::routes::AppId;
use crate::store::ids;

/// How many undelivered deliveries of an app began in which second.
#[derive(Debug, Default)]
pub struct Ages(HashMap<AppId, BTreeMap<u64, i64>>);

impl Ages {
    /// Counts some that began when the one of this key did; fewer, where they ended.
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

    /// When the oldest of each app began, to the second.
    pub fn oldest(&self) -> impl Iterator<Item = (AppId, Moment)> + '_ {
        let first = |seconds: &BTreeMap<u64, i64>| seconds.keys().next().copied();
        self.0.iter().filter_map(move |(app, seconds)| Some((*app, Moment(first(seconds)? * 1000))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_the_one_that_began_first_of_those_that_have_not_ended() {
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
