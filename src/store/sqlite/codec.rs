//! Conversions between Rust types and SQLite columns.

use bytes::Bytes;
use http::HeaderValue;
use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use uuid::Uuid;

use crate::moment::Moment;
use crate::resources::Ordering;
use crate::routes::AppId;
use crate::store::{DeadReason, DeliveryState, Form, ids};

/// The key of an id as a column value. It is below 2^63, see [`ids`].
pub fn key(id: Uuid) -> i64 {
    ids::key(id) as i64
}

/// The random bits of an id as a column value.
pub fn tail(id: Uuid) -> i64 {
    ids::tail(id) as i64
}

/// Assembles an id from its columns.
pub fn id(key: i64, tail: i64) -> Uuid {
    ids::from_parts(key as u64, tail as u64)
}

/// Reads an app id from the columns with its namespace and its UUID.
pub fn app_id(row: &Row<'_>, namespace: usize, uuid: usize) -> rusqlite::Result<AppId> {
    let namespace = row.get_ref(namespace)?.as_str()?;
    Ok(AppId::new(namespace, Uuid::from_bytes(row.get(uuid)?)))
}

/// A moment is stored as Unix time in milliseconds.
impl ToSql for Moment {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(i64::try_from(self.0).unwrap_or(i64::MAX).into())
    }
}

impl FromSql for Moment {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let millis = value.as_i64()?;
        u64::try_from(millis).map(Self).map_err(|_| FromSqlError::OutOfRange(millis))
    }
}

/// Stores enums as numbers. A number must never be reused for another variant, as existing files
/// contain it. `as name` also defines the macro `name!`: the number of a variant as a literal, for
/// SQL text. SQLite uses a partial index only if a query has the literal condition of the index.
macro_rules! as_number {
    ($kind:ty as $name:ident { $($variant:ident = $number:tt),* $(,)? }) => {
        macro_rules! $name {
            $(($variant) => { $number };)*
        }
        pub(super) use $name;

        as_number!($kind { $($variant = $number),* });
    };
    ($kind:ty { $($variant:ident = $number:tt),* $(,)? }) => {
        impl ToSql for $kind {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                let number: i64 = match self { $(Self::$variant => $number),* };
                Ok(number.into())
            }
        }

        impl FromSql for $kind {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                match value.as_i64()? {
                    $($number => Ok(Self::$variant),)*
                    other => Err(FromSqlError::OutOfRange(other)),
                }
            }
        }
    };
}

as_number!(DeliveryState as state { Pending = 0, Waiting = 1, Succeeded = 2, Dead = 3 });
as_number!(DeadReason { AttemptsUsedUp = 0, TooOld = 1, Rejected = 2, AppDeleted = 3, Unreadable = 4, TransformFailed = 5 });
as_number!(Ordering { Parallel = 0, Fifo = 1 });
as_number!(Form { Json = 0, Converted = 1 });

/// Decodes a header value; `None` if it is missing or invalid.
pub fn header_value(bytes: Option<Vec<u8>>) -> Option<HeaderValue> {
    HeaderValue::from_maybe_shared(Bytes::from(bytes?)).ok()
}

#[cfg(test)]
mod tests {
    use strum::VariantArray as _;

    use super::*;

    #[test]
    fn a_state_has_the_same_number_in_columns_and_in_sql_text() {
        let numbers = [state!(Pending), state!(Waiting), state!(Succeeded), state!(Dead)];
        for (state, number) in DeliveryState::VARIANTS.iter().zip(numbers) {
            assert_eq!(state.to_sql(), Ok(ToSqlOutput::from(number)), "{state:?}");
            assert_eq!(DeliveryState::column_result(ValueRef::Integer(number)), Ok(*state));
        }
        assert_eq!(numbers, [0, 1, 2, 3], "files contain these numbers");
    }
}
