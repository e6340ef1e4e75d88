//! Repetitions of stored events.

use uuid::Uuid;

use super::{Engine, NewDelivery};
use crate::store::repetition::{DeliveryEnd, Repetition};
use crate::store::sqlite::codec;
use crate::store::sqlite::command::OperationResult;
use crate::store::sqlite::stored_bytes::DELIVERY_BYTES;
use crate::store::sqlite::webhooks::RowKeys;
use crate::store::{Accepted, DuplicateKey, NewEvent, StoreError};

/// The deliveries of an event: the first one has its key, the others are in the index of replays.
const OF_EVENT: &str = "SELECT state, reason, generation FROM delivery WHERE key = ?1
    UNION ALL SELECT state, reason, generation FROM delivery WHERE generation > 1 AND event = ?1";

impl Engine {
    /// Answers an event that has the key of the stored event `first`: it is a duplicate, or `first`
    /// is delivered again. `None` if it is to be stored, as `first` is lost.
    pub(super) fn repeat(
        &mut self,
        keys: RowKeys,
        event: &NewEvent,
        key: DuplicateKey,
        first: Uuid,
    ) -> OperationResult<Option<Accepted>> {
        let (deliveries, generation) = self.deliveries_of(first)?;
        match Repetition::of(&deliveries, key.repeats) {
            Repetition::New => return Ok(Ok(None)),
            Repetition::Duplicate => return Ok(Ok(Some(Accepted::Duplicate(first)))),
            Repetition::Replay if event.is_refused => return Ok(Ok(Some(Accepted::Refused))),
            Repetition::Replay => {}
        }
        if !self.admits(keys.app, &event.route, DELIVERY_BYTES) {
            return Ok(Err(StoreError::AppFull));
        }
        let ordering = event.route.binding.delivery.ordering;
        let delivery = NewDelivery {
            id: event.id,
            event: first,
            generation: generation.saturating_add(1),
            now: event.now,
        };
        self.create_delivery(keys, event.route.app.id, ordering, delivery)?;
        Ok(Ok(Some(Accepted::Replayed(first))))
    }

    /// The states of an event's deliveries, and the highest generation; none if the event is gone.
    fn deliveries_of(&self, event: Uuid) -> rusqlite::Result<(Vec<DeliveryEnd>, u32)> {
        let key = codec::key(event);
        let sql = "SELECT EXISTS (SELECT 1 FROM event WHERE key = ?1 AND tail = ?2)";
        let is_stored: bool =
            self.db.prepare_cached(sql)?.query_row((key, codec::tail(event)), |row| row.get(0))?;
        let (mut deliveries, mut generation) = (Vec::new(), 0);
        if !is_stored {
            return Ok((deliveries, generation));
        }
        let mut select = self.db.prepare_cached(OF_EVENT)?;
        let mut rows = select.query((key,))?;
        while let Some(row) = rows.next()? {
            deliveries.push((row.get(0)?, row.get(1)?));
            generation = generation.max(row.get(2)?);
        }
        Ok((deliveries, generation))
    }
}
