//! Conversions between Rust types and columns.

use bytes::Bytes;
use http::HeaderValue;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::moment::Moment;
use crate::resources::Ordering;
use crate::routes::AppId;
use crate::store::repetition::DeliveryEnd;
use crate::store::{DeadReason, DeliveryState, Form};

/// The latest moment in a column. Sums of a few of them do not overflow.
const LATEST: u64 = 1 << 60;

/// A moment as a column value: Unix time in milliseconds.
pub fn millis(moment: Moment) -> i64 {
    moment.0.min(LATEST) as i64
}

/// The moment of a column.
pub fn moment(millis: i64) -> Moment {
    Moment(u64::try_from(millis).unwrap_or(0))
}

/// An optional moment of a column.
pub fn optional_moment(row: &Row, index: usize) -> Option<Moment> {
    row.get::<_, Option<i64>>(index).map(moment)
}

/// Reads an app from the columns with its UUID and the digest of its namespace. A digest of another
/// length is that of no app.
pub fn app_id(row: &Row, uuid: usize, digest: usize) -> AppId {
    let digest: &[u8] = row.get(digest);
    let digest = <[u8; 16]>::try_from(digest).unwrap_or_default();
    AppId::from_digest(digest, row.get::<_, Uuid>(uuid))
}

/// An enum that is stored as a number. A number must never be reused for another variant, as
/// databases contain it.
pub trait Number: Sized {
    /// The column value.
    fn to_number(self) -> i16;
    /// The variant with this number.
    fn from_number(number: i16) -> Option<Self>;
}

macro_rules! as_number {
    ($kind:ty { $($variant:ident = $number:literal),* $(,)? }) => {
        impl Number for $kind {
            fn to_number(self) -> i16 {
                match self { $(Self::$variant => $number),* }
            }

            fn from_number(number: i16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

as_number!(DeliveryState { Pending = 0, Waiting = 1, Succeeded = 2, Dead = 3 });
as_number!(DeadReason {
    AttemptsUsedUp = 0,
    TooOld = 1,
    Rejected = 2,
    AppDeleted = 3,
    Unreadable = 4,
    TransformFailed = 5,
});
as_number!(Ordering { Parallel = 0, Fifo = 1 });
as_number!(Form { Json = 0, Converted = 1 });

/// How a delivery ended, from the columns of its state and its reason.
pub fn delivery_end(row: &Row, at: usize) -> Option<DeliveryEnd> {
    let state = row.get::<_, Option<i16>>(at).and_then(DeliveryState::from_number)?;
    let reason = row.get::<_, Option<i16>>(at + 1).and_then(DeadReason::from_number);
    Some((state, reason))
}

/// The header value of a column; `None` if it is missing or invalid.
pub fn header_value(bytes: Option<Vec<u8>>) -> Option<HeaderValue> {
    HeaderValue::from_maybe_shared(Bytes::from(bytes?)).ok()
}

/// Text as the database stores it: without the character 0, which it rejects.
pub fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use strum::VariantArray as _;

    use super::*;

    #[test]
    fn states_have_the_numbers_of_the_partial_indexes() {
        let numbers = DeliveryState::VARIANTS.iter().map(|state| state.to_number());
        assert_eq!(numbers.collect::<Vec<_>>(), [0, 1, 2, 3]);
        for state in DeliveryState::VARIANTS {
            assert_eq!(DeliveryState::from_number(state.to_number()), Some(*state));
        }
        assert_eq!(DeliveryState::from_number(4), None);
    }

    #[test]
    fn moments_are_clamped_to_what_columns_can_add() {
        assert_eq!(moment(millis(Moment(5))), Moment(5));
        assert!(millis(Moment::NEVER).checked_mul(4).is_some());
        assert_eq!(moment(-1), Moment(0));
    }
}
