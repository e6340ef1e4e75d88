//! Reads the load of the store, for metrics and limits.

use std::collections::HashMap;

use uuid::Uuid;

use super::codec;
use super::failure::DatabaseFailure;
use super::link::Link;
use super::shared::Load;
use super::statements::LOAD;
use crate::moment::Moment;
use crate::routes::AppId;
use crate::store::ids;

/// The statements of this file.
pub const STATEMENTS: &[&str] = &[LOAD];

/// Reads the load of all replicas. `max_bytes` is the maximum size of the store.
pub async fn read(link: &Link, max_bytes: u64) -> Result<Load, DatabaseFailure> {
    let rows = link.query(LOAD, &[]).await?;
    let number = |number: i64| u64::try_from(number).unwrap_or(0);
    let (mut load, mut apps) = (Load::default(), Vec::new());
    for row in rows {
        let app = codec::app_id(&row, 0, 1);
        let (pending, bytes) = (number(row.get(2)), number(row.get(3)));
        load.bytes += bytes;
        apps.push((app, bytes));
        if pending > 0 {
            load.undelivered.push((app, pending));
        }
        let oldest = row.get::<_, Option<&str>>(4).and_then(|id| Uuid::parse_str(id).ok());
        load.oldest.extend(oldest.map(|id| (app, Moment(ids::moment(id).0 / 1000 * 1000))));
    }
    load.over_share = over_share(&apps, max_bytes).collect();
    load.near_share = over_share(&apps, max_bytes / 10 * 9).collect();
    Ok(load)
}

/// The apps that have used up their share, or whose namespace has: a namespace may use half of the
/// bytes, and an app three quarters of that.
fn over_share(apps: &[(AppId, u64)], max_bytes: u64) -> impl Iterator<Item = AppId> {
    let mut namespaces: HashMap<[u8; 16], u64> = HashMap::new();
    for (app, bytes) in apps {
        *namespaces.entry(app.namespace()).or_default() += bytes;
    }
    let namespace_share = max_bytes / 2;
    let app_share = namespace_share / 4 * 3;
    let is_over = move |(app, bytes): &&(AppId, u64)| {
        *bytes >= app_share || namespaces[&app.namespace()] >= namespace_share
    };
    apps.iter().filter(is_over).map(|(app, _)| *app)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_and_a_namespace_have_their_shares() {
        let app = |namespace, number| AppId::new(namespace, Uuid::from_u128(number));
        let (one, two, other) = (app("a", 1), app("a", 2), app("b", 3));
        let over = |apps: &[(AppId, u64)]| over_share(apps, 800).collect::<Vec<_>>();
        assert_eq!(over(&[(one, 299), (two, 100), (other, 299)]), []);
        assert_eq!(over(&[(one, 300), (two, 99), (other, 1)]), [one]);
        assert_eq!(over(&[(one, 299), (two, 101), (other, 1)]), [one, two]);
    }
}
