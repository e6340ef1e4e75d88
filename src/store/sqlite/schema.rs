//! The tables, and the migrations of files of earlier versions.

use rusqlite::{Connection, TransactionBehavior};

use super::OpenError;

/// SQLite's application id of our files ("whop"). Other files have another one or none.
const APPLICATION_ID: i32 = 0x7768_6f70;

/// Migration n makes version n + 1 of version n. There is no downgrade.
const MIGRATIONS: [&str; 5] = [VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION_5];

/// Keys ascend with time (see [`crate::store::ids`]): every insert is at the right edge of its tree.
///
/// `delivery.state`: 0 pending, 1 waiting, 2 succeeded, 3 dead. The partial indexes hold only the rows that a query
/// needs: due, waiting, finished (for retention) and dead deliveries, and replays.
const VERSION_1: &str = "
CREATE TABLE app (
  key INTEGER PRIMARY KEY,
  uuid BLOB NOT NULL UNIQUE
) STRICT;
CREATE TABLE webhook (
  key INTEGER PRIMARY KEY,
  app INTEGER NOT NULL REFERENCES app (key),
  uuid BLOB NOT NULL,
  namespace TEXT NOT NULL,
  app_name TEXT NOT NULL,
  name TEXT NOT NULL,
  action TEXT NOT NULL,
  props BLOB NOT NULL,
  ordering INTEGER NOT NULL,
  retry TEXT,
  UNIQUE (app, uuid)
) STRICT;
CREATE INDEX webhook_name ON webhook (namespace, name);
CREATE TABLE event (
  key INTEGER PRIMARY KEY,
  tail INTEGER NOT NULL,
  webhook INTEGER NOT NULL,
  form INTEGER NOT NULL,
  content_type BLOB,
  headers BLOB NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE TABLE delivery (
  key INTEGER PRIMARY KEY,
  tail INTEGER NOT NULL,
  event INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  app INTEGER NOT NULL,
  webhook INTEGER NOT NULL,
  state INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  due INTEGER NOT NULL,
  finished INTEGER,
  reason INTEGER,
  last_status INTEGER
) STRICT;
CREATE INDEX delivery_due ON delivery (app, due, webhook) WHERE state = 0;
CREATE INDEX delivery_waiting ON delivery (webhook) WHERE state = 1;
CREATE INDEX delivery_webhook ON delivery (webhook);
CREATE INDEX delivery_finished ON delivery (finished) WHERE finished IS NOT NULL;
CREATE INDEX delivery_dead ON delivery (webhook) WHERE state = 3;
CREATE INDEX delivery_replay ON delivery (event) WHERE generation > 1;
CREATE TABLE attempt (
  delivery INTEGER NOT NULL,
  number INTEGER NOT NULL,
  started INTEGER NOT NULL,
  took INTEGER NOT NULL,
  status INTEGER,
  error TEXT,
  answer BLOB,
  PRIMARY KEY (delivery, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE duplicate (
  webhook INTEGER NOT NULL,
  hash BLOB NOT NULL,
  event INTEGER NOT NULL,
  tail INTEGER NOT NULL,
  until INTEGER NOT NULL,
  PRIMARY KEY (webhook, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX duplicate_until ON duplicate (until);
";

/// Counts succeeded deliveries beyond their retention.
const VERSION_2: &str = "
CREATE TABLE tally (
  webhook INTEGER PRIMARY KEY,
  succeeded INTEGER NOT NULL,
  last INTEGER
) STRICT;
INSERT INTO tally
  SELECT webhook, count(*), max(finished) FROM delivery WHERE state = 2 GROUP BY webhook;
";

/// An app's rows belong to its namespace: two namespaces that used the same UUID have a row each. If a file has
/// webhooks of several namespaces under one app, the app is split by the namespaces of its webhooks.
///
/// `owner` maps an app's UUID to its namespace, also while the app does not exist; `seen` is the time of the last
/// record.
const VERSION_3: &str = "
CREATE TABLE app_3 (
  key INTEGER PRIMARY KEY,
  namespace TEXT NOT NULL,
  uuid BLOB NOT NULL,
  UNIQUE (uuid, namespace)
) STRICT;
INSERT INTO app_3 (key, namespace, uuid)
  SELECT a.key, (SELECT w.namespace FROM webhook w WHERE w.app = a.key ORDER BY w.key LIMIT 1), a.uuid
  FROM app a WHERE a.key IN (SELECT app FROM webhook);
INSERT OR IGNORE INTO app_3 (namespace, uuid)
  SELECT DISTINCT w.namespace, a.uuid FROM webhook w JOIN app a ON a.key = w.app;
CREATE TABLE webhook_3 (
  key INTEGER PRIMARY KEY,
  app INTEGER NOT NULL REFERENCES app_3 (key),
  uuid BLOB NOT NULL,
  namespace TEXT NOT NULL,
  app_name TEXT NOT NULL,
  name TEXT NOT NULL,
  action TEXT NOT NULL,
  props BLOB NOT NULL,
  ordering INTEGER NOT NULL,
  retry TEXT,
  UNIQUE (app, uuid)
) STRICT;
INSERT INTO webhook_3
  SELECT w.key, n.key, w.uuid, w.namespace, w.app_name, w.name, w.action, w.props, w.ordering, w.retry
  FROM webhook w JOIN app a ON a.key = w.app
    JOIN app_3 n ON n.uuid = a.uuid AND n.namespace = w.namespace;
UPDATE delivery SET app = (SELECT n.app FROM webhook_3 n WHERE n.key = delivery.webhook)
  WHERE webhook IN (SELECT n.key FROM webhook_3 n JOIN webhook w ON w.key = n.key WHERE n.app <> w.app);
DROP TABLE webhook;
DROP TABLE app;
ALTER TABLE app_3 RENAME TO app;
ALTER TABLE webhook_3 RENAME TO webhook;
CREATE INDEX webhook_name ON webhook (namespace, name);
CREATE TABLE owner (
  uuid BLOB PRIMARY KEY,
  namespace TEXT NOT NULL,
  seen INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO owner (uuid, namespace, seen)
  SELECT uuid, namespace, CAST(unixepoch('subsec') * 1000 AS INTEGER) FROM app ORDER BY key;
";

/// `app.stored_bytes` is the size that [`super::stored_bytes`] charges to an app, with the constants of that file.
/// `delivery_ended` finds the finished deliveries of an app, which are deleted first if it exceeds its quota.
const VERSION_4: &str = "
ALTER TABLE app ADD COLUMN stored_bytes INTEGER NOT NULL DEFAULT 0;
UPDATE app SET stored_bytes = stored_bytes + t.bytes FROM
  (SELECT w.app, sum(256 + length(e.body) + length(e.headers)) AS bytes
   FROM event e JOIN webhook w ON w.key = e.webhook GROUP BY w.app) t WHERE t.app = app.key;
UPDATE app SET stored_bytes = stored_bytes + t.bytes FROM
  (SELECT app, 256 * count(*) AS bytes FROM delivery GROUP BY app) t WHERE t.app = app.key;
UPDATE app SET stored_bytes = stored_bytes + t.bytes FROM
  (SELECT d.app, sum(128 + coalesce(length(a.answer), 0) + coalesce(octet_length(a.error), 0)) AS bytes
   FROM attempt a JOIN delivery d ON d.key = a.delivery GROUP BY d.app) t WHERE t.app = app.key;
CREATE INDEX delivery_ended ON delivery (app, state) WHERE finished IS NOT NULL;
";

/// `clock.seen` is the time that a process recorded last, see [`super::set_back`]. A file of an earlier version gets the
/// time of its latest delivery (from its key, see [`crate::store::ids`]) or of the latest `finished`.
const VERSION_5: &str = "
CREATE TABLE clock (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  seen INTEGER NOT NULL
) STRICT;
INSERT INTO clock (id, seen) SELECT 1, max(
  coalesce((SELECT max(key) >> 20 FROM delivery), 0),
  coalesce((SELECT max(finished) FROM delivery WHERE finished IS NOT NULL), 0));
";

/// Migrates a file to the current version.
pub fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let pragma = |name| transaction.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    let is_fresh = application == 0 && version == 0 && tables == 0;
    if application != APPLICATION_ID && !is_fresh {
        return Err(OpenError::Foreign);
    }
    let known = MIGRATIONS.len() as i32;
    let done = usize::try_from(version).ok().filter(|done| *done <= MIGRATIONS.len());
    let done = done.ok_or(OpenError::Newer { found: version, known })?;
    if done == MIGRATIONS.len() {
        return Ok(());
    }
    for migration in &MIGRATIONS[done..] {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", known)?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::super::codec::state;
    use super::super::engine::{GIVE_UP_PENDING, GIVE_UP_WAITING, PROMOTE, take::DUE};
    use super::super::{tallies, undelivered};
    use super::*;

    fn migrated() -> Connection {
        let mut db = Connection::open_in_memory().unwrap();
        migrate(&mut db).unwrap();
        db
    }

    /// SQLite's plan of a query, one step per line. The values of its parameters are not bound.
    fn plan(db: &Connection, sql: &str) -> String {
        let mut explain = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let (mut rows, mut plan) = (explain.raw_query(), String::new());
        while let Some(row) = rows.next().unwrap() {
            plan += &row.get::<_, String>("detail").unwrap();
            plan.push('\n');
        }
        plan
    }

    #[test]
    fn partial_indexes_have_the_numbers_of_the_states() {
        let db = migrated();
        for (index, number) in [
            ("delivery_due", state!(Pending)),
            ("delivery_waiting", state!(Waiting)),
            ("delivery_dead", state!(Dead)),
        ] {
            let sql: String = db
                .query_row("SELECT sql FROM sqlite_schema WHERE name = ?1", (index,), |row| {
                    row.get(0)
                })
                .unwrap();
            assert!(sql.ends_with(&format!(" WHERE state = {number}")), "{sql}");
        }
        let tallied = concat!("FROM delivery WHERE state = ", state!(Succeeded), " GROUP BY");
        assert!(VERSION_2.contains(tallied));
    }

    #[test]
    fn queries_by_state_use_the_partial_indexes() {
        let db = migrated();
        for (sql, index) in [
            (DUE, "delivery_due (app=?)"),
            (GIVE_UP_PENDING, "delivery_due (app=?)"),
            (PROMOTE, "delivery_waiting (webhook=?)"),
            (GIVE_UP_WAITING, "delivery_waiting (webhook=?)"),
            (undelivered::ALL_PENDING, "delivery_due"),
            (undelivered::ALL_WAITING, "delivery_waiting"),
            (tallies::DEAD, "delivery_dead"),
        ] {
            let plan = plan(&db, sql);
            assert!(plan.contains(&format!("INDEX {index}")), "{sql}:\n{plan}");
        }
        let due = plan(&db, DUE);
        assert!(!due.contains("TEMP B-TREE"), "the index has the order of the query:\n{due}");
        let bound = plan(&db, &DUE.replace(concat!("state = ", state!(Pending)), "state = ?2"));
        assert!(!bound.contains("delivery_due"), "a bound state matches no index:\n{bound}");
    }
}
