//! Ids of events and deliveries: version 7 UUIDs.
//!
//! A 20-bit counter follows the milliseconds (RFC 9562, section 6.2, method 1), so the ids of a
//! process are in creation order. Milliseconds and counter are the key of an id. Keys fit in 63
//! bits, so an engine that one process uses can have them as integer primary keys: no additional
//! index is needed, and new rows are appended. Ids of different processes can have the same key.
//! The other 54 bits are random, so that ids cannot be guessed.

use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use crate::moment::Moment;

/// Bits of the counter within a millisecond.
const COUNTER_BITS: u32 = 20;
/// Number of random bits of an id.
const TAIL_BITS: u32 = 54;
const TAIL: u64 = (1 << TAIL_BITS) - 1;

/// Generates ascending ids.
#[derive(Debug, Default)]
pub struct Ids {
    last: AtomicU64,
}

impl Ids {
    /// Makes all following ids greater than this key, even if the clock is behind it, as it may be
    /// after a restart.
    pub fn follow(&self, key: u64) {
        self.last.fetch_max(key, Ordering::Relaxed);
    }

    /// Generates an id. Its time is `now`, or later if the last id has a later time or the counter
    /// overflowed.
    pub fn next(&self, now: Moment) -> Uuid {
        let floor = now.0 << COUNTER_BITS;
        let after = |last: u64| Some(floor.max(last + 1));
        let last = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, after);
        // The closure never declines.
        let (Ok(last) | Err(last)) = last;
        from_parts(floor.max(last + 1), random_tail())
    }
}

/// The key of an id. Keys ascend with time, and stay below 2^63 until the year 2248.
pub fn key(id: Uuid) -> u64 {
    let bits = id.as_u128();
    let millis = (bits >> 80) as u64;
    let high = (bits >> 64) as u64 & 0xfff;
    let low = (bits >> TAIL_BITS) as u64 & 0xff;
    millis << COUNTER_BITS | high << 8 | low
}

/// The random bits of an id.
pub fn tail(id: Uuid) -> u64 {
    id.as_u128() as u64 & TAIL
}

/// Assembles an id from its key and its random bits.
pub fn from_parts(key: u64, tail: u64) -> Uuid {
    let millis = u128::from(key >> COUNTER_BITS);
    let (high, low) = (u128::from(key >> 8 & 0xfff), u128::from(key & 0xff));
    let version_and_high = 0x7000 | high;
    let variant_and_rest = 0b10 << 62 | low << TAIL_BITS | u128::from(tail & TAIL);
    Uuid::from_u128(millis << 80 | version_and_high << 64 | variant_and_rest)
}

/// When an id was generated.
pub fn moment(id: Uuid) -> Moment {
    Moment(key(id) >> COUNTER_BITS)
}

/// The lowest key of ids generated at `moment` or later.
pub fn first_key(moment: Moment) -> u64 {
    moment.0.min(u64::MAX >> (COUNTER_BITS + 1)) << COUNTER_BITS
}

/// Random bits from the operating system, through `uuid`.
fn random_tail() -> u64 {
    Uuid::new_v4().as_u128() as u64 & TAIL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_7_and_ascend_even_when_the_clock_does_not() {
        let ids = Ids::default();
        let made: Vec<Uuid> = [1_800_000_000_000, 1_800_000_000_000, 5, 1_800_000_000_001]
            .map(|ms| ids.next(Moment(ms)))
            .into();
        assert!(made.is_sorted() && made[0] != made[1], "{made:?}");
        for id in made {
            assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
            assert_eq!(from_parts(key(id), tail(id)), id);
        }
        assert_eq!(moment(ids.next(Moment(1_800_000_000_500))), Moment(1_800_000_000_500));
    }

    #[test]
    fn ids_follow_what_a_store_already_holds() {
        let ids = Ids::default();
        let before = ids.next(Moment(1_800_000_000_000));
        let fresh = Ids::default();
        fresh.follow(key(before));
        assert!(fresh.next(Moment(0)) > before);
        assert!(key(before) >= first_key(Moment(1_800_000_000_000)));
        assert!(key(before) < first_key(Moment(1_800_000_000_001)));
    }
}
