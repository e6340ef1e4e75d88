//! The tables, and the migrations of databases of earlier versions.
//!
//! Replicas of two versions use a database at once while an upgrade rolls out. So a migration only
//! adds; what an earlier version needs is removed by a later one.

use tokio_postgres::Client;

use super::failure::DatabaseFailure;

/// Migration n makes version n + 1 of version n. There is no downgrade.
const MIGRATIONS: [&str; 1] = [VERSION_1];

/// `delivery.seq` is the order in which deliveries were stored. Ids of replicas whose clocks differ
/// do not tell it. Times are Unix times in milliseconds, by the clocks of replicas; only
/// `replica.expires` is a time of the database's clock.
///
/// `delivery.state`: 0 pending, 1 waiting, 2 succeeded, 3 dead. The partial indexes hold only the
/// rows that a query needs. `webhook.is_ordered`: the webhook is or was `Fifo`, so deliveries of it
/// may be waiting. A tally has several rows (slots), so that the writers of all replicas rarely
/// wait for each other.
const VERSION_1: &str = "
CREATE TABLE app (
  key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  uuid uuid NOT NULL,
  digest bytea NOT NULL,
  namespace text NOT NULL,
  UNIQUE (uuid, digest)
);
CREATE TABLE webhook (
  key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  app bigint NOT NULL REFERENCES app (key),
  uuid uuid NOT NULL,
  namespace text NOT NULL,
  app_name text NOT NULL,
  name text NOT NULL,
  action bytea NOT NULL,
  props bytea NOT NULL,
  ordering smallint NOT NULL,
  retry text,
  version bigint NOT NULL DEFAULT 1,
  is_ordered boolean NOT NULL,
  UNIQUE (app, uuid)
);
CREATE INDEX webhook_name ON webhook (namespace, name);
CREATE INDEX webhook_ordered ON webhook (key) WHERE is_ordered;
CREATE TABLE event (
  id uuid PRIMARY KEY,
  webhook bigint NOT NULL,
  form smallint NOT NULL,
  content_type bytea,
  headers bytea NOT NULL,
  body bytea NOT NULL
);
CREATE TABLE delivery (
  id uuid PRIMARY KEY,
  seq bigint GENERATED ALWAYS AS IDENTITY (CACHE 1),
  event uuid NOT NULL,
  generation integer NOT NULL,
  app bigint NOT NULL,
  webhook bigint NOT NULL,
  state smallint NOT NULL,
  attempts integer NOT NULL,
  due bigint NOT NULL,
  finished bigint,
  reason smallint,
  last_status integer
);
CREATE INDEX delivery_due ON delivery (app, due, seq) WHERE state = 0;
CREATE INDEX delivery_undelivered ON delivery (webhook, state, seq) WHERE state < 2;
CREATE INDEX delivery_webhook ON delivery (webhook, id);
CREATE INDEX delivery_dead ON delivery (webhook, id) WHERE state = 3;
CREATE INDEX delivery_finished ON delivery (finished) WHERE finished IS NOT NULL;
CREATE INDEX delivery_ended ON delivery (app, finished) WHERE finished IS NOT NULL;
CREATE INDEX delivery_replay ON delivery (event) WHERE generation > 1;
CREATE TABLE attempt (
  delivery uuid NOT NULL,
  number integer NOT NULL,
  started bigint NOT NULL,
  took bigint NOT NULL,
  status integer,
  error text,
  answer bytea,
  PRIMARY KEY (delivery, number)
);
CREATE TABLE duplicate (
  webhook bigint NOT NULL,
  hash bytea NOT NULL,
  event uuid NOT NULL,
  since bigint NOT NULL,
  seen bigint NOT NULL,
  until bigint NOT NULL,
  PRIMARY KEY (webhook, hash)
);
CREATE INDEX duplicate_until ON duplicate (until);
CREATE TABLE replica (
  key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  expires timestamptz NOT NULL
);
CREATE SEQUENCE lease_token;
CREATE TABLE lease (
  delivery uuid PRIMARY KEY,
  app bigint NOT NULL,
  session bigint NOT NULL,
  token bigint NOT NULL DEFAULT nextval('lease_token'),
  until bigint NOT NULL
);
CREATE INDEX lease_app ON lease (app);
CREATE TABLE tally (
  webhook bigint NOT NULL,
  slot smallint NOT NULL,
  pending bigint NOT NULL DEFAULT 0,
  succeeded bigint NOT NULL DEFAULT 0,
  dead bigint NOT NULL DEFAULT 0,
  bytes bigint NOT NULL DEFAULT 0,
  last bigint,
  PRIMARY KEY (webhook, slot)
) WITH (fillfactor = 50);
CREATE TABLE owner (
  uuid uuid PRIMARY KEY,
  namespace text NOT NULL,
  seen bigint NOT NULL
);
ALTER TABLE lease SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
ALTER TABLE tally SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
";

/// Held while a schema is migrated, by the one that does it. Other schemas of the database are not
/// affected.
const LOCK: &str =
    "SELECT pg_advisory_xact_lock(hashtextextended('webhook-operator:' || current_schema(), 0))";

/// Whether the schema has been made. Reads the catalog itself: a lookup by name may miss what was
/// committed a moment ago.
const IS_MADE: &str = "SELECT EXISTS (SELECT FROM pg_class c
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = 'schema_version')";

/// Whether the schema has the name of a table of ours already.
const IS_FOREIGN: &str = "SELECT EXISTS (SELECT FROM pg_class c
    WHERE c.relnamespace = current_schema()::regnamespace
    AND c.relname IN ('app', 'webhook', 'event', 'delivery', 'owner'))";

/// Why a schema cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaError {
    /// It has a version that this program does not know.
    Newer {
        /// The version of the schema.
        found: i32,
        /// The latest version that this program supports.
        known: i32,
    },
    /// It has tables of another program, or there is no schema to make tables in.
    Foreign,
    /// The database does not serve.
    DatabaseFailure(DatabaseFailure),
}

impl<T: Into<DatabaseFailure>> From<T> for SchemaError {
    fn from(failure: T) -> Self {
        Self::DatabaseFailure(failure.into())
    }
}

/// Migrates the schema to the current version, unless it has it already. Replicas that start at the
/// same time wait for the first one.
pub async fn migrate(client: &mut Client) -> Result<(), SchemaError> {
    if version(client).await? == Some(MIGRATIONS.len()) {
        return Ok(());
    }
    let transaction = client.transaction().await?;
    transaction.query(LOCK, &[]).await?;
    let done = version(transaction.client()).await?;
    if done.is_none() && transaction.query_one(IS_FOREIGN, &[]).await?.get(0) {
        return Err(SchemaError::Foreign);
    }
    let has_schema = "SELECT current_schema() IS NOT NULL";
    if !transaction.query_one(has_schema, &[]).await?.get::<_, bool>(0) {
        return Err(SchemaError::Foreign);
    }
    for migration in &MIGRATIONS[done.unwrap_or(0)..] {
        transaction.batch_execute(migration).await?;
    }
    let record = "CREATE TABLE IF NOT EXISTS schema_version (version integer NOT NULL);
        DELETE FROM schema_version";
    transaction.batch_execute(record).await?;
    let known = MIGRATIONS.len() as i32;
    transaction.execute("INSERT INTO schema_version VALUES ($1)", &[&known]).await?;
    Ok(transaction.commit().await?)
}

/// The version of the schema; `None` if it is empty.
async fn version(client: &Client) -> Result<Option<usize>, SchemaError> {
    if !client.query_one(IS_MADE, &[]).await?.get::<_, bool>(0) {
        return Ok(None);
    }
    let found: i32 = client.query_one("SELECT version FROM schema_version", &[]).await?.get(0);
    let known = MIGRATIONS.len();
    match usize::try_from(found) {
        Ok(version) if version <= known => Ok(Some(version)),
        _ => Err(SchemaError::Newer { found, known: known as i32 }),
    }
}
