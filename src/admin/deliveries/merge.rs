//! Merges the lists of several replicas. Pure.

use std::cmp::Reverse;

use super::query;
use super::view::List;

/// Merges pages with the same cursor and at most `limit` items each into one page, latest first.
/// Ids of all replicas are ordered by time, so the last id of the merged page is a valid cursor for
/// each replica.
pub fn pages(pages: Vec<List>, limit: usize) -> List {
    let has_more = pages.iter().any(|page| page.cursor.is_some());
    let mut merged = List::default();
    for page in pages {
        merged.items.extend(page.items);
        merged.unavailable.extend(page.unavailable);
    }
    merged.items.sort_by_key(|item| Reverse(item.id));
    let has_more = has_more || merged.items.len() > limit;
    merged.items.truncate(limit);
    let last = merged.items.last().filter(|_| has_more);
    merged.cursor = last.map(|last| query::cursor(last.id));
    merged
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::admin::deliveries::view::DeliveryView;
    use crate::moment::Moment;
    use crate::store::ids;

    fn delivery(id: Uuid) -> DeliveryView {
        let delivery = json!({
            "id": id, "eventId": id, "generation": 1, "namespace": "", "app": "", "webhook": "",
            "action": "", "state": "dead", "waiting": false, "attemptCount": 0,
            "createdAt": "1970-01-01T00:00:00Z",
        });
        serde_json::from_value(delivery).unwrap()
    }

    /// The page of a replica. A queried peer sets a cursor if it has more deliveries; the merging
    /// replica returns one more than the limit instead.
    fn page(kept: &[Uuid], before: Option<Uuid>, limit: usize, is_peer: bool) -> List {
        let mut found: Vec<Uuid> =
            kept.iter().copied().filter(|id| before.is_none_or(|before| *id < before)).collect();
        found.sort_by_key(|id| Reverse(*id));
        let has_more = found.len() > limit;
        found.truncate(if is_peer { limit } else { limit + 1 });
        let cursor = (is_peer && has_more).then(|| "one".to_owned());
        let items = found.into_iter().map(delivery).collect();
        List { items, cursor, ..List::default() }
    }

    proptest! {
        /// Few distinct times, so that several replicas create ids with the same time.
        #[test]
        fn pages_are_complete_and_without_duplicates_for_any_distribution_of_deliveries(
            spread in btree_map((0_u64..20, 0_u64..4), 0_usize..4, 0..40),
            limit in 1_usize..9,
        ) {
            let mut kept = vec![Vec::new(); 4];
            for ((key, tail), replica) in spread {
                kept[replica].push(ids::from_parts(ids::first_key(Moment(1)) + key, tail));
            }
            let mut all: Vec<Uuid> = kept.concat();
            all.sort_by_key(|id| Reverse(*id));
            let (mut read, mut before) = (Vec::new(), None);
            loop {
                let of = kept.iter().enumerate();
                let each = of.map(|(number, kept)| page(kept, before, limit, number > 0));
                let merged = pages(each.collect(), limit);
                prop_assert!(merged.items.len() <= limit);
                read.extend(merged.items.iter().map(|item| item.id));
                prop_assert!(read.len() <= all.len());
                if merged.cursor.is_none() {
                    break;
                }
                before = read.last().copied();
            }
            prop_assert_eq!(read, all);
        }

        #[test]
        fn every_unavailable_replica_is_named(names in vec(vec("[a-c]", 0..3), 0..3)) {
            let pages = names.iter().map(|names| List { unavailable: names.clone(), ..List::default() });
            prop_assert_eq!(super::pages(pages.collect(), 9).unavailable, names.concat());
        }
    }
}
