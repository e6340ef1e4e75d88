//! What is due is leased.

use super::Engine;
use crate::moment::Moment;
use crate::store::sqlite::codec;
use crate::store::sqlite::failure::Failure;
use crate::store::{Body, Lease, Leased, Take, Taken};

/// The longest body that a lease brings along; a longer one is read when it is needed.
const INLINE_BODY_BYTES: i64 = 16 * 1024;

impl Engine {
    /// Leases what is due of an app. Not within a transaction: what is leased has been accepted.
    pub fn take(&mut self, take: Take) -> rusqlite::Result<Taken> {
        let Some(app) = self.webhooks.app(&self.db, take.app)? else { return Ok(Taken::default()) };
        let (chosen, next_due) = self.choose(app, take)?;
        let mut taken = Taken { leased: Vec::with_capacity(chosen.len()), next_due };
        for chosen in chosen {
            let key = chosen.key;
            match self.lease(chosen, take) {
                Err(error) if Failure::is_own(&error) => self.unreadable.push((key, take.app)),
                leased => taken.leased.push(leased?),
            }
        }
        Ok(taken)
    }

    /// The due deliveries of an app that nobody has leased, and when the next one is due.
    fn choose(&mut self, app: i64, take: Take) -> rusqlite::Result<(Vec<Chosen>, Option<Moment>)> {
        let sql = "SELECT key, tail, event, attempts, due, webhook FROM delivery
            WHERE state = 0 AND app = ?1 ORDER BY due, webhook, key";
        let mut select = self.db.prepare_cached(sql)?;
        let mut rows = select.query((app,))?;
        let (mut chosen, mut next_due) = (Vec::new(), None);
        while let Some(row) = rows.next()? {
            let key = row.get(0)?;
            if let Some(until) = self.leases.until(key, take.now) {
                next_due = Some(next_due.map_or(until, |due: Moment| due.min(until)));
                continue;
            }
            let due: Moment = match row.get(4) {
                Err(error) if Failure::is_own(&error) => {
                    self.unreadable.push((key, take.app));
                    continue;
                }
                due => due?,
            };
            if due > take.now || chosen.len() == take.most {
                next_due = Some(next_due.map_or(due, |other| other.min(due)));
                break;
            }
            let (tail, event) = (row.get(1)?, row.get(2)?);
            // STRICT tables have integers here; a number out of range is no reason to give an event up.
            let (attempts, webhook) = (row.get(3).unwrap_or(u32::MAX - 1), row.get(5)?);
            chosen.push(Chosen { key, tail, event, attempts, webhook });
        }
        Ok((chosen, next_due))
    }

    fn lease(&mut self, chosen: Chosen, take: Take) -> rusqlite::Result<Leased> {
        let webhook = self.webhooks.get(&self.db, chosen.webhook)?;
        let sql = "SELECT tail, form, content_type, headers, length(body),
            CASE WHEN length(body) <= ?2 THEN body END FROM event WHERE key = ?1";
        let mut select = self.db.prepare_cached(sql)?;
        let token = self.leases.give(chosen.key, take.now, take.lease);
        select.query_row((chosen.event, INLINE_BODY_BYTES), |row| {
            let body = row.get::<_, Option<Vec<u8>>>(5)?;
            let len: i64 = row.get(4)?;
            Ok(Leased {
                lease: Lease { delivery: codec::id(chosen.key, chosen.tail), token },
                event: codec::id(chosen.event, row.get(0)?),
                attempt: chosen.attempts + 1,
                webhook,
                form: row.get(1)?,
                content_type: codec::header_value(row.get(2)?),
                headers: codec::headers_from_bytes(row.get_ref(3)?.as_blob()?),
                body: body.map_or(Body::Stored(len as usize), |body| Body::Here(body.into())),
            })
        })
    }
}

struct Chosen {
    key: i64,
    tail: i64,
    event: i64,
    attempts: u32,
    webhook: i64,
}
