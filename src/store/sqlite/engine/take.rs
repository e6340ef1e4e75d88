//! Leases due deliveries.

use super::Engine;
use crate::moment::Moment;
use crate::store::sqlite::codec::{self, state};
use crate::store::sqlite::failure::Failure;
use crate::store::{Body, INLINE_BODY_BYTES, Lease, Leased, Take, Taken, headers};

/// The pending deliveries of an app, by due time.
pub const DUE: &str = concat!(
    "SELECT key, tail, event, attempts, due, webhook FROM delivery WHERE state = ",
    state!(Pending),
    " AND app = ?1 ORDER BY due, webhook, key",
);

impl Engine {
    /// Leases due deliveries of an app. Must not be called in a transaction: only committed
    /// deliveries may be attempted.
    pub fn take(&mut self, take: Take) -> rusqlite::Result<Taken> {
        let Some(app) = self.webhooks.app(&self.db, take.app)? else { return Ok(Taken::default()) };
        let (due, next_due) = self.find_due(app, take)?;
        let mut taken = Taken { leased: Vec::with_capacity(due.len()), next_due };
        for delivery in due {
            let key = delivery.key;
            match self.lease(delivery, take) {
                Err(error) if Failure::is_isolated(&error) => self.unreadable.push((key, take.app)),
                leased => taken.leased.push(leased?),
            }
        }
        Ok(taken)
    }

    /// Finds the due deliveries of an app without a lease, and when the next one is due.
    fn find_due(
        &mut self,
        app: i64,
        take: Take,
    ) -> rusqlite::Result<(Vec<DueDelivery>, Option<Moment>)> {
        let mut select = self.db.prepare_cached(DUE)?;
        let mut rows = select.query((app,))?;
        let (mut found, mut next_due) = (Vec::new(), None);
        while let Some(row) = rows.next()? {
            let key = row.get(0)?;
            if let Some(until) = self.leases.until(key, take.now) {
                next_due = Some(next_due.map_or(until, |due: Moment| due.min(until)));
                continue;
            }
            let due: Moment = match row.get(4) {
                Err(error) if Failure::is_isolated(&error) => {
                    self.unreadable.push((key, take.app));
                    continue;
                }
                due => due?,
            };
            if due > take.now || found.len() == take.most {
                next_due = Some(next_due.map_or(due, |other| other.min(due)));
                break;
            }
            let (tail, event) = (row.get(1)?, row.get(2)?);
            // STRICT tables guarantee integers here. A number out of range must not prevent the
            // delivery.
            let (attempts, webhook) = (row.get(3).unwrap_or(u32::MAX - 1), row.get(5)?);
            found.push(DueDelivery { key, tail, event, attempts, webhook });
        }
        Ok((found, next_due))
    }

    fn lease(&mut self, due: DueDelivery, take: Take) -> rusqlite::Result<Leased> {
        let webhook = self.webhooks.get(&self.db, due.webhook)?;
        let sql = "SELECT tail, form, content_type, headers, length(body),
            CASE WHEN length(body) <= ?2 THEN body END FROM event WHERE key = ?1";
        let mut select = self.db.prepare_cached(sql)?;
        let token = self.leases.grant(due.key, take.now, take.lease);
        select.query_row((due.event, INLINE_BODY_BYTES as i64), |row| {
            let body = row.get::<_, Option<Vec<u8>>>(5)?;
            let len: i64 = row.get(4)?;
            Ok(Leased {
                lease: Lease { delivery: codec::id(due.key, due.tail), token },
                event: codec::id(due.event, row.get(0)?),
                attempt: due.attempts + 1,
                webhook,
                form: row.get(1)?,
                content_type: codec::header_value(row.get(2)?),
                headers: headers::from_bytes(row.get_ref(3)?.as_blob()?),
                body: body.map_or(Body::Stored(len as usize), |body| Body::Here(body.into())),
            })
        })
    }
}

struct DueDelivery {
    key: i64,
    tail: i64,
    event: i64,
    attempts: u32,
    webhook: i64,
}
