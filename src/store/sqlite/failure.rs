//! What an error of SQLite means for the rest of the store.

use rusqlite::{Error, ErrorCode};

use crate::store::StoreError;

/// How far an error reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It passes: the same operation may succeed later.
    Transient(StoreError),
    /// The operation or the row that it met is at fault: it alone fails.
    Own,
    /// The file cannot be relied on any more.
    Fatal,
}

impl Failure {
    /// Classifies an error. What is not known to be harmless is fatal, such as I/O errors, corruption and failed
    /// syncs: after them nobody knows what is in the file.
    pub fn of(error: &Error) -> Self {
        match error {
            Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..)
            | Error::Utf8Error(..)
            | Error::ToSqlConversionFailure(..)
            | Error::QueryReturnedNoRows => Self::Own,
            _ => error.sqlite_error_code().map_or(Self::Fatal, of_code),
        }
    }

    /// Whether it ends with the operation that met it.
    pub fn is_own(error: &Error) -> bool {
        Self::of(error) == Self::Own
    }
}

/// Leaves out a row that cannot be read, with a log line; other errors stay.
pub fn readable<T>(row: rusqlite::Result<T>) -> Option<rusqlite::Result<T>> {
    match row {
        Err(error) if Failure::is_own(&error) => {
            tracing::error!(%error, "a row of the store cannot be read and is skipped");
            None
        }
        row => Some(row),
    }
}

fn of_code(code: ErrorCode) -> Failure {
    match code {
        ErrorCode::DiskFull => Failure::Transient(StoreError::Full),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Failure::Transient(StoreError::Busy),
        ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch => {
            Failure::Own
        }
        _ => Failure::Fatal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;
    use rusqlite::ffi::{self, Error as SqliteError};
    use rusqlite::types::Type;

    #[test]
    fn what_may_hide_damage_is_fatal_and_what_one_operation_did_is_its_own() {
        let own = || Failure::Own;
        let transient = Failure::Transient;
        for (code, expected) in [
            (ffi::SQLITE_FULL, transient(StoreError::Full)),
            (ffi::SQLITE_BUSY, transient(StoreError::Busy)),
            (ffi::SQLITE_LOCKED, transient(StoreError::Busy)),
            (ffi::SQLITE_CONSTRAINT_UNIQUE, own()),
            (ffi::SQLITE_TOOBIG, own()),
            (ffi::SQLITE_MISMATCH, own()),
            (ffi::SQLITE_IOERR_FSYNC, Failure::Fatal),
            (ffi::SQLITE_IOERR_READ, Failure::Fatal),
            (ffi::SQLITE_CORRUPT, Failure::Fatal),
            (ffi::SQLITE_NOTADB, Failure::Fatal),
            (ffi::SQLITE_READONLY, Failure::Fatal),
            (ffi::SQLITE_NOMEM, Failure::Fatal),
            (ffi::SQLITE_ERROR, Failure::Fatal),
        ] {
            let error = Error::SqliteFailure(SqliteError::new(code), None);
            assert_eq!(Failure::of(&error), expected, "{error}");
        }
        let column = Error::InvalidColumnType(0, "due".into(), Type::Text);
        assert_eq!(Failure::of(&column), Failure::Own);
        assert_eq!(Failure::of(&Error::QueryReturnedNoRows), Failure::Own);
        assert_eq!(Failure::of(&Error::InvalidQuery), Failure::Fatal);
    }

    #[test]
    fn values_of_the_wrong_range_are_their_rows_own_fault() {
        let db = Connection::open_in_memory().unwrap();
        let read = db.query_row("SELECT -1", (), |row| row.get::<_, crate::moment::Moment>(0));
        assert!(Failure::is_own(&read.unwrap_err()));
        let read = db.query_row("SELECT x'00'", (), |row| row.get::<_, [u8; 16]>(0));
        assert!(Failure::is_own(&read.unwrap_err()));
        let read = db.query_row("SELECT CAST(x'ff' AS TEXT)", (), |row| row.get::<_, String>(0));
        assert!(Failure::is_own(&read.unwrap_err()));
    }
}
