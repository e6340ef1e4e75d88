//! The statements of the writing transactions, of `take` and of the session.
//!
//! A transaction is a sequence of statements, each of which sees what was committed before it
//! began. So rows are locked by a statement of their own, before the one that decides by what it
//! reads.
//! Locks are taken in this order: webhooks by key, duplicate keys, events, leases, deliveries.

/// Begins a transaction.
pub const BEGIN: &str = "BEGIN";
/// Commits a transaction. When it is answered, the writes are durable.
pub const COMMIT: &str = "COMMIT";

/// Inserts or updates a webhook and its app.
pub const UPSERT_WEBHOOK: &str = "
WITH known AS (
  INSERT INTO app (uuid, digest, namespace) VALUES ($1, $2, $3)
  ON CONFLICT (uuid, digest) DO UPDATE SET namespace = excluded.namespace RETURNING key
)
INSERT INTO webhook AS w
  (app, uuid, namespace, app_name, name, action, props, ordering, retry, is_ordered)
SELECT key, $4, $3, $5, $6, $7, $8, $9::smallint, $10, $9::smallint = 1 FROM known
ON CONFLICT (app, uuid) DO UPDATE SET
  version = w.version + CASE WHEN
    (w.app_name, w.name, w.action, w.props, w.ordering, w.retry) IS DISTINCT FROM
    (excluded.app_name, excluded.name, excluded.action, excluded.props, excluded.ordering,
     excluded.retry) THEN 1 ELSE 0 END,
  app_name = excluded.app_name, name = excluded.name, action = excluded.action,
  props = excluded.props, ordering = excluded.ordering, retry = excluded.retry,
  is_ordered = w.is_ordered OR excluded.is_ordered
RETURNING key, is_ordered";

/// Reads webhooks by their keys.
pub const WEBHOOKS: &str = "
SELECT w.key, w.version, a.uuid, a.digest, w.uuid, w.namespace, w.app_name, w.name, w.action,
  w.props, w.ordering, w.retry
FROM webhook w JOIN app a ON a.key = w.app WHERE w.key = ANY($1)";

/// Keeps webhooks from being pruned. Returns those that exist.
pub const KEEP_WEBHOOKS: &str =
    "SELECT key FROM webhook WHERE key = ANY($1) ORDER BY key FOR KEY SHARE";

/// Locks webhooks whose deliveries are ordered. Returns those that exist.
pub const LOCK_WEBHOOKS: &str =
    "SELECT key FROM webhook WHERE key = ANY($1) ORDER BY key FOR NO KEY UPDATE";

/// Locks the ordered webhooks of some deliveries.
pub const LOCK_WEBHOOKS_OF: &str = "
SELECT key FROM webhook WHERE is_ordered
  AND key IN (SELECT webhook FROM delivery WHERE id = ANY($1))
ORDER BY key FOR NO KEY UPDATE";

/// Locks the ordered webhooks of an app.
pub const LOCK_WEBHOOKS_OF_APP: &str = "
SELECT key FROM webhook WHERE is_ordered
  AND app = (SELECT key FROM app WHERE uuid = $1 AND digest = $2)
ORDER BY key FOR NO KEY UPDATE";

/// Records duplicate keys that are not known, or whose window has passed. Returns their events.
/// Known ones are locked.
pub const CLAIM_KEYS: &str = "
INSERT INTO duplicate AS d (webhook, hash, event, since, seen, until)
SELECT * FROM unnest(
    $1::bigint[], $2::bytea[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[])
  AS n (webhook, hash, event, since, seen, until) ORDER BY n.webhook, n.hash
ON CONFLICT (webhook, hash) DO UPDATE SET
  event = excluded.event, since = excluded.since, seen = excluded.seen, until = excluded.until
WHERE d.until <= excluded.seen OR d.since + excluded.until - excluded.seen <= excluded.seen
RETURNING event";

/// Records new events for known duplicate keys.
pub const RECLAIM_KEYS: &str = "
UPDATE duplicate d SET event = n.event, since = n.since, seen = n.seen, until = n.until
FROM unnest($1::bigint[], $2::bytea[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[])
  AS n (webhook, hash, event, since, seen, until)
WHERE d.webhook = n.webhook AND d.hash = n.hash";

/// Locks the first events of duplicate keys.
pub const LOCK_FIRST_EVENTS: &str = "
SELECT e.id FROM unnest($1::bigint[], $2::bytea[]) AS n (webhook, hash)
  JOIN duplicate d ON d.webhook = n.webhook AND d.hash = n.hash
  JOIN event e ON e.id = d.event
ORDER BY e.id FOR NO KEY UPDATE OF e";

/// The first events of duplicate keys with their deliveries, by the place of the key.
pub const FIRST_EVENTS: &str = "
SELECT n.place, d.event, o.state, o.reason, o.generation
FROM unnest($1::bigint[], $2::bytea[]) WITH ORDINALITY AS n (webhook, hash, place)
  JOIN duplicate d ON d.webhook = n.webhook AND d.hash = n.hash
  LEFT JOIN event e ON e.id = d.event
  LEFT JOIN LATERAL (
    SELECT state, reason, generation FROM delivery WHERE id = e.id
    UNION ALL
    SELECT state, reason, generation FROM delivery WHERE generation > 1 AND event = e.id
  ) o ON true
ORDER BY n.place";

/// Stores events.
pub const INSERT_EVENTS: &str = "
INSERT INTO event (id, webhook, form, content_type, headers, body)
SELECT * FROM unnest(
  $1::uuid[], $2::bigint[], $3::smallint[], $4::bytea[], $5::bytea[], $6::bytea[])";

/// Makes waiting deliveries of webhooks pending, oldest first; at most $3 of each.
pub const PROMOTE: &str = "
WITH promoted AS (
  SELECT w.id, n.due FROM unnest($1::bigint[], $2::bigint[]) AS n (webhook, due)
  CROSS JOIN LATERAL (
    SELECT id FROM delivery WHERE webhook = n.webhook AND state = 1 ORDER BY seq LIMIT $3
  ) w
)
UPDATE delivery d SET state = 0, due = p.due FROM promoted p WHERE d.id = p.id";

/// Creates deliveries. Of an ordered webhook, only one that has no undelivered one before it is
/// pending. Returns the state of each.
pub const INSERT_DELIVERIES: &str = "
INSERT INTO delivery (id, event, generation, app, webhook, state, attempts, due)
SELECT n.id, n.event, n.generation, w.app, n.webhook,
  CASE WHEN n.is_fifo AND (n.turn > 1 OR EXISTS (
    SELECT FROM delivery d WHERE d.webhook = n.webhook AND d.state < 2
  )) THEN 1 ELSE 0 END, 0, n.due
FROM (
  SELECT *, row_number() OVER (PARTITION BY webhook ORDER BY place) AS turn
  FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::bigint[], $5::boolean[], $6::bigint[])
    WITH ORDINALITY AS i (id, event, generation, webhook, is_fifo, due, place)
) n JOIN webhook w ON w.key = n.webhook
ORDER BY n.place
RETURNING id, state";

/// Adds to the tallies of webhooks: undelivered deliveries and bytes.
pub const COUNT: &str = "
INSERT INTO tally AS t (webhook, slot, pending, bytes)
SELECT n.webhook, $2, n.pending, n.bytes
FROM unnest($1::bigint[], $3::bigint[], $4::bigint[]) AS n (webhook, pending, bytes)
ORDER BY n.webhook
ON CONFLICT (webhook, slot) DO UPDATE SET
  pending = t.pending + excluded.pending, bytes = t.bytes + excluded.bytes";

/// Ends leases, and records the attempts and the next states of those that were valid. Returns
/// their deliveries.
pub const SETTLE: &str = "
WITH settled AS (
  SELECT * FROM unnest(
    $1::uuid[], $2::bigint[], $3::smallint[], $4::bigint[], $5::bigint[], $6::smallint[],
    $7::integer[], $8::bigint[], $9::bigint[], $10::integer[], $11::text[], $12::bytea[]
  ) AS s (id, token, state, due, finished, reason, number, started, took, status, error, answer)
), ended AS (
  DELETE FROM lease l USING settled s WHERE l.delivery = s.id AND l.token = s.token
  RETURNING l.delivery
), done AS (
  UPDATE delivery d SET state = s.state, attempts = s.number, due = s.due, finished = s.finished,
    reason = s.reason, last_status = s.status
  FROM settled s JOIN ended e ON e.delivery = s.id
  WHERE d.id = s.id AND d.state = 0
  RETURNING d.id, d.webhook, d.app, s.state, s.finished, s.number, s.started, s.took, s.status,
    s.error, s.answer
), recorded AS (
  INSERT INTO attempt (delivery, number, started, took, status, error, answer)
  SELECT id, number, started, took, status, error, answer FROM done
), counted AS (
  INSERT INTO tally AS t (webhook, slot, pending, succeeded, dead, bytes, last)
  SELECT webhook, $13, -count(*) FILTER (WHERE state > 1), count(*) FILTER (WHERE state = 2),
    count(*) FILTER (WHERE state = 3),
    sum(128 + coalesce(octet_length(error), 0) + coalesce(length(answer), 0)),
    max(finished) FILTER (WHERE state = 2)
  FROM done GROUP BY webhook ORDER BY webhook
  ON CONFLICT (webhook, slot) DO UPDATE SET
    pending = t.pending + excluded.pending, succeeded = t.succeeded + excluded.succeeded,
    dead = t.dead + excluded.dead, bytes = t.bytes + excluded.bytes,
    last = greatest(t.last, excluded.last)
)
SELECT d.id, a.uuid, a.digest FROM done d JOIN app a ON a.key = d.app";

/// Makes the oldest waiting delivery of each ordered webhook pending whose last pending delivery
/// has finished, with the times of the ends. Returns the apps.
pub const PROMOTE_NEXT: &str = "
WITH heads AS (
  SELECT w.key AS webhook, max(n.due) AS due
  FROM unnest($1::uuid[], $2::bigint[]) AS n (id, due)
    JOIN delivery d ON d.id = n.id JOIN webhook w ON w.key = d.webhook
  WHERE w.is_ordered AND d.state > 1 GROUP BY w.key
), next AS (
  SELECT h.due, (
    SELECT id FROM delivery WHERE webhook = h.webhook AND state = 1 ORDER BY seq LIMIT 1
  ) AS id
  FROM heads h
  WHERE NOT EXISTS (SELECT FROM delivery WHERE webhook = h.webhook AND state = 0)
), promoted AS (
  UPDATE delivery d SET state = 0, due = next.due FROM next WHERE d.id = next.id
  RETURNING d.app, d.due
)
SELECT a.uuid, a.digest, min(p.due) FROM promoted p JOIN app a ON a.key = p.app
GROUP BY a.uuid, a.digest";

/// Ordered webhooks that have a waiting delivery and no pending one. None should be left by the
/// transactions; see `docs/design/postgres.md`.
pub const STUCK_WEBHOOKS: &str = "
SELECT w.key, a.uuid, a.digest FROM webhook w JOIN app a ON a.key = w.app WHERE w.is_ordered
  AND EXISTS (SELECT FROM delivery WHERE webhook = w.key AND state = 1)
  AND NOT EXISTS (SELECT FROM delivery WHERE webhook = w.key AND state = 0)
ORDER BY w.key LIMIT 100";

/// Makes the oldest waiting delivery of each webhook pending that has no pending one.
pub const PROMOTE_STUCK: &str = "
UPDATE delivery d SET state = 0, due = $2 FROM unnest($1::bigint[]) AS n (webhook)
WHERE d.webhook = n.webhook AND d.state = 1
  AND NOT EXISTS (SELECT FROM delivery WHERE webhook = n.webhook AND state = 0)
  AND d.seq = (SELECT min(seq) FROM delivery WHERE webhook = n.webhook AND state = 1)";

/// One transaction at a time leases deliveries of an app.
pub const LOCK_APP: &str =
    "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || $1::text, 1))";

/// Whether a lease `l` is valid: its replica is alive, and it has not expired by the clock of that
/// replica. The clock of another replica ($2 is its time, $1 its session) may be a minute ahead.
macro_rules! is_valid {
    () => {
        "(CASE WHEN l.session = $1 THEN l.until > $2
           ELSE l.until + 60000 > $2 AND EXISTS (
             SELECT FROM replica r WHERE r.key = l.session AND r.expires > clock_timestamp()) END)"
    };
}

/// The valid leases of an app: how many, and when the first one of this session ends. Whether the
/// session is alive.
pub const LEASES: &str = concat!(
    "SELECT count(*), min(l.until) FILTER (WHERE l.session = $1),
      EXISTS (SELECT FROM replica WHERE key = $1 AND expires > clock_timestamp())
    FROM lease l WHERE l.app = (SELECT key FROM app WHERE uuid = $3 AND digest = $4) AND ",
    is_valid!()
);

/// Leases due deliveries of an app: at most $5, and so many that it has no more than $6 leases. A
/// session that is not alive gets none.
pub const TAKE: &str = concat!(
    "WITH due AS (
      SELECT d.id, d.event, d.attempts, d.app, d.webhook, d.due, d.seq FROM delivery d
      WHERE d.state = 0 AND d.app = (SELECT key FROM app WHERE uuid = $3 AND digest = $4)
        AND d.due <= $2
        AND NOT EXISTS (SELECT FROM lease l WHERE l.delivery = d.id AND ",
    is_valid!(),
    ")
      ORDER BY d.due, d.seq
      LIMIT (SELECT CASE WHEN EXISTS (
          SELECT FROM replica WHERE key = $1 AND expires > clock_timestamp())
        THEN greatest(0, least($5::bigint, $6::bigint - count(*))) ELSE 0 END
        FROM lease l WHERE l.app = (SELECT key FROM app WHERE uuid = $3 AND digest = $4) AND ",
    is_valid!(),
    ")
      FOR NO KEY UPDATE OF d SKIP LOCKED
    ), granted AS (
      INSERT INTO lease AS g (delivery, app, session, until) SELECT id, app, $1, $7 FROM due
      ON CONFLICT (delivery) DO UPDATE SET
        session = excluded.session, token = excluded.token, until = excluded.until
      RETURNING g.delivery, g.token
    )
    SELECT due.id, g.token, due.event, due.attempts, due.webhook, w.version, e.form,
      e.content_type, e.headers, length(e.body), CASE WHEN length(e.body) <= $8 THEN e.body END
    FROM due JOIN granted g ON g.delivery = due.id JOIN webhook w ON w.key = due.webhook
      LEFT JOIN event e ON e.id = due.event
    ORDER BY due.due, due.seq"
);

/// When the next delivery of an app is due that is not leased.
pub const NEXT_DUE: &str = concat!(
    "SELECT d.due FROM delivery d
    WHERE d.state = 0 AND d.app = (SELECT key FROM app WHERE uuid = $3 AND digest = $4)
      AND NOT EXISTS (SELECT FROM lease l WHERE l.delivery = d.id AND ",
    is_valid!(),
    ") ORDER BY d.due, d.seq LIMIT 1"
);

/// Marks deliveries as dead whose event is missing.
pub const END_UNREADABLE: &str = "
WITH freed AS (DELETE FROM lease WHERE delivery = ANY($1)), done AS (
  UPDATE delivery SET state = 3, due = $2, finished = $2, reason = $3
  WHERE id = ANY($1) AND state = 0 RETURNING webhook
)
INSERT INTO tally AS t (webhook, slot, pending, dead)
SELECT webhook, $4, -count(*), count(*) FROM done GROUP BY webhook ORDER BY webhook
ON CONFLICT (webhook, slot) DO UPDATE SET
  pending = t.pending + excluded.pending, dead = t.dead + excluded.dead";

/// Marks some deliveries of an app as dead, and ends their leases.
macro_rules! give_up {
    ($chosen:literal) => {
        concat!(
            "WITH chosen AS (",
            $chosen,
            " FOR UPDATE
            ), freed AS (
              DELETE FROM lease l USING chosen WHERE l.delivery = chosen.id
            ), done AS (
              UPDATE delivery d SET state = 3, finished = $3, reason = $4
              FROM chosen WHERE d.id = chosen.id RETURNING d.webhook
            ), counted AS (
              INSERT INTO tally AS t (webhook, slot, pending, dead)
              SELECT webhook, $5, -count(*), count(*) FROM done GROUP BY webhook ORDER BY webhook
              ON CONFLICT (webhook, slot) DO UPDATE SET
                pending = t.pending + excluded.pending, dead = t.dead + excluded.dead
            )
            SELECT count(*) FROM done"
        )
    };
}

/// Marks pending deliveries of an app as dead. Returns how many.
pub const GIVE_UP_PENDING: &str = give_up!(
    "SELECT id FROM delivery WHERE state = 0
       AND app = (SELECT key FROM app WHERE uuid = $1 AND digest = $2) ORDER BY due LIMIT $6"
);

/// Marks waiting deliveries of an app as dead. Returns how many.
pub const GIVE_UP_WAITING: &str = give_up!(
    "SELECT d.id FROM delivery d WHERE d.state = 1 AND d.webhook IN (
       SELECT key FROM webhook WHERE app = (SELECT key FROM app WHERE uuid = $1 AND digest = $2))
     LIMIT $6"
);

/// The event and the webhook of a delivery.
pub const FIND_DELIVERY: &str = "
SELECT d.event, d.webhook, w.ordering, w.is_ordered, a.uuid, a.digest
FROM delivery d JOIN webhook w ON w.key = d.webhook JOIN app a ON a.key = w.app WHERE d.id = $1";

/// Locks an event, so that it is neither deleted nor delivered again at the same time.
pub const LOCK_EVENT: &str = "SELECT id FROM event WHERE id = $1 FOR NO KEY UPDATE";

/// The highest generation of the deliveries of an event.
pub const LAST_GENERATION: &str = "
SELECT coalesce(max(generation), 1) FROM (
  SELECT generation FROM delivery WHERE id = $2
  UNION ALL
  SELECT generation FROM delivery WHERE generation > 1 AND event = $1
) d";

/// Deletes finished deliveries, earliest first; at most $2. Returns their events.
macro_rules! delete_finished {
    ($which:literal) => {
        concat!(
            "WITH chosen AS (
              SELECT id, event, webhook, state FROM delivery WHERE finished IS NOT NULL AND ",
            $which,
            " ORDER BY finished LIMIT $2 FOR UPDATE SKIP LOCKED
            ), gone AS (
              DELETE FROM delivery d USING chosen c WHERE d.id = c.id
            ), attempts AS (
              DELETE FROM attempt a USING chosen c WHERE a.delivery = c.id
              RETURNING c.webhook,
                128 + coalesce(octet_length(a.error), 0) + coalesce(length(a.answer), 0) AS bytes
            ), freed AS (
              SELECT webhook, count(*) FILTER (WHERE state = 3) AS dead, 256 * count(*) AS bytes
              FROM chosen GROUP BY webhook
            ), counted AS (
              INSERT INTO tally AS t (webhook, slot, dead, bytes)
              SELECT f.webhook, $3, -f.dead, -f.bytes - coalesce((
                SELECT sum(a.bytes) FROM attempts a WHERE a.webhook = f.webhook), 0)
              FROM freed f ORDER BY f.webhook
              ON CONFLICT (webhook, slot) DO UPDATE SET
                dead = t.dead + excluded.dead, bytes = t.bytes + excluded.bytes
            )
            SELECT DISTINCT event FROM chosen"
        )
    };
}

/// Deletes deliveries that finished by $1.
pub const DELETE_EXPIRED: &str = delete_finished!("finished <= $1");

/// Deletes finished deliveries of an app.
pub const DELETE_FINISHED: &str =
    delete_finished!("app = (SELECT key FROM app WHERE uuid = $1 AND digest = $4)");

/// Locks events before their deletion, so that none is delivered again at the same time.
pub const LOCK_EVENTS: &str = "SELECT id FROM event WHERE id = ANY($1) ORDER BY id FOR UPDATE";

/// Deletes events without a delivery.
pub const DELETE_EVENTS: &str = "
WITH gone AS (
  DELETE FROM event e WHERE e.id = ANY($1)
    AND NOT EXISTS (SELECT FROM delivery d WHERE d.id = e.id)
    AND NOT EXISTS (SELECT FROM delivery d WHERE d.generation > 1 AND d.event = e.id)
  RETURNING e.webhook, 256 + length(e.body) + length(e.headers) AS bytes
)
INSERT INTO tally AS t (webhook, slot, bytes)
SELECT webhook, $2, -sum(bytes) FROM gone GROUP BY webhook ORDER BY webhook
ON CONFLICT (webhook, slot) DO UPDATE SET bytes = t.bytes + excluded.bytes";

/// Deletes duplicate keys whose window has passed.
pub const DELETE_KEYS: &str = "
DELETE FROM duplicate WHERE (webhook, hash) IN (
  SELECT webhook, hash FROM duplicate WHERE until <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

/// Whether this replica does the maintenance until its transaction ends: one at a time does.
pub const LOCK_MAINTENANCE: &str =
    "SELECT pg_try_advisory_xact_lock(hashtextextended(current_schema(), 2))";

/// Webhooks after a key, and whether nothing refers to them.
pub const PRUNE_CANDIDATES: &str = "
SELECT key, NOT EXISTS (SELECT FROM delivery WHERE webhook = w.key)
  AND NOT EXISTS (SELECT FROM duplicate WHERE webhook = w.key)
FROM webhook w WHERE key > $1 ORDER BY key LIMIT $2";

/// Locks webhooks before their deletion, so that no event of them is stored at the same time.
pub const LOCK_UNUSED: &str = "SELECT key FROM webhook WHERE key = ANY($1) ORDER BY key FOR UPDATE";

/// Deletes unused webhooks and their tallies. Returns the keys of their apps.
pub const DELETE_WEBHOOKS: &str = "
WITH gone AS (
  DELETE FROM webhook w WHERE w.key = ANY($1)
    AND NOT EXISTS (SELECT FROM delivery WHERE webhook = w.key)
    AND NOT EXISTS (SELECT FROM duplicate WHERE webhook = w.key)
  RETURNING w.key, w.app
), tallies AS (
  DELETE FROM tally t USING gone WHERE t.webhook = gone.key
)
SELECT DISTINCT app FROM gone";

/// Deletes apps without a webhook.
pub const DELETE_APPS: &str = "
DELETE FROM app a WHERE a.key = ANY($1) AND NOT EXISTS (SELECT FROM webhook WHERE app = a.key)";

/// Records owners.
pub const RECORD_OWNERS: &str = "
INSERT INTO owner (uuid, namespace, seen)
SELECT DISTINCT ON (uuid) uuid, namespace, $3
FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS n (uuid, namespace, place)
ORDER BY uuid, place DESC
ON CONFLICT (uuid) DO UPDATE SET namespace = excluded.namespace, seen = excluded.seen";

/// Deletes owners that were last recorded before $1 and whose app has no stored data.
pub const PRUNE_OWNERS: &str = "
DELETE FROM owner o WHERE seen < $1 AND NOT EXISTS (SELECT FROM app WHERE uuid = o.uuid)";

/// Begins a session that ends 6 s after its last heartbeat.
pub const BEGIN_SESSION: &str = "
INSERT INTO replica (expires) VALUES (clock_timestamp() + interval '6 s') RETURNING key";

/// Continues a session that has not expired. Returns how many replicas are alive.
pub const HEARTBEAT: &str = "
UPDATE replica SET expires = clock_timestamp() + interval '6 s'
WHERE key = $1 AND expires > clock_timestamp()
RETURNING (SELECT count(*) FROM replica WHERE expires > clock_timestamp())";

/// Ends a session, and removes those that ended long ago.
pub const END_SESSION: &str = "
DELETE FROM replica WHERE key = $1 OR expires < clock_timestamp() - interval '1 day'";

/// The apps with pending deliveries, and when the first one of each is due.
pub const DUE_APPS: &str = "
SELECT * FROM (
  SELECT a.uuid, a.digest, (
    SELECT d.due FROM delivery d WHERE d.state = 0 AND d.app = a.key ORDER BY d.due, d.seq LIMIT 1
  ) AS due FROM app a
) a WHERE due IS NOT NULL";

/// Tells other replicas of apps.
pub const NOTIFY: &str = "SELECT pg_notify($1, $2)";

/// The load of each app: undelivered deliveries, stored bytes, and the oldest undelivered one.
pub const LOAD: &str = "
SELECT a.uuid, a.digest, sum(t.pending)::bigint, sum(t.bytes)::bigint, min(
  CASE WHEN t.pending > 0 THEN least(
    (SELECT id::text FROM delivery WHERE webhook = w.key AND state = 0 ORDER BY seq LIMIT 1),
    (SELECT id::text FROM delivery WHERE webhook = w.key AND state = 1 ORDER BY seq LIMIT 1)
  ) END)
FROM (
  SELECT webhook, sum(pending)::bigint AS pending, sum(bytes)::bigint AS bytes FROM tally
  GROUP BY webhook
) t JOIN webhook w ON w.key = t.webhook JOIN app a ON a.key = w.app
GROUP BY a.uuid, a.digest";

/// The tallies of webhooks.
pub const TALLIES: &str = "
SELECT webhook, sum(succeeded)::bigint, sum(dead)::bigint, sum(pending)::bigint, max(last)
FROM tally GROUP BY webhook";
