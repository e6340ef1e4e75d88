//! Classifies SQLite errors by their consequences for the store.

use rusqlite::{Error, ErrorCode};

use crate::store::StoreError;

/// The class of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Temporary: the operation may succeed later.
    Transient(StoreError),
    /// Caused by the operation or by a row that it reads. Other operations are not affected.
    Isolated,
    /// The file is no longer reliable.
    Fatal,
}

impl Failure {
    /// Classifies an error. Errors that are not known to be harmless are fatal, such as I/O errors,
    /// corruption and failed syncs: after them the content of the file is unknown.
    pub fn of(error: &Error) -> Self {
        match error {
            Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..)
            | Error::Utf8Error(..)
            | Error::ToSqlConversionFailure(..)
            | Error::QueryReturnedNoRows => Self::Isolated,
            _ => error.sqlite_error_code().map_or(Self::Fatal, of_code),
        }
    }

    /// Whether the error affects only the operation that returned it.
    pub fn is_isolated(error: &Error) -> bool {
        Self::of(error) == Self::Isolated
    }
}

/// Logs and drops the error of an unreadable row. Other errors are passed on.
pub fn readable<T>(row: rusqlite::Result<T>) -> Option<rusqlite::Result<T>> {
    match row {
        Err(error) if Failure::is_isolated(&error) => {
            tracing::error!(%error, "skipping an unreadable row of the store");
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
            Failure::Isolated
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
    fn errors_that_may_hide_damage_are_fatal_and_those_of_one_operation_are_isolated() {
        let isolated = || Failure::Isolated;
        let transient = Failure::Transient;
        for (code, expected) in [
            (ffi::SQLITE_FULL, transient(StoreError::Full)),
            (ffi::SQLITE_BUSY, transient(StoreError::Busy)),
            (ffi::SQLITE_LOCKED, transient(StoreError::Busy)),
            (ffi::SQLITE_CONSTRAINT_UNIQUE, isolated()),
            (ffi::SQLITE_TOOBIG, isolated()),
            (ffi::SQLITE_MISMATCH, isolated()),
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
        assert_eq!(Failure::of(&column), Failure::Isolated);
        assert_eq!(Failure::of(&Error::QueryReturnedNoRows), Failure::Isolated);
        assert_eq!(Failure::of(&Error::InvalidQuery), Failure::Fatal);
    }

    #[test]
    fn errors_of_out_of_range_values_are_isolated() {
        let db = Connection::open_in_memory().unwrap();
        let read = db.query_row("SELECT -1", (), |row| row.get::<_, crate::moment::Moment>(0));
        assert!(Failure::is_isolated(&read.unwrap_err()));
        let read = db.query_row("SELECT x'00'", (), |row| row.get::<_, [u8; 16]>(0));
        assert!(Failure::is_isolated(&read.unwrap_err()));
        let read = db.query_row("SELECT CAST(x'ff' AS TEXT)", (), |row| row.get::<_, String>(0));
        assert!(Failure::is_isolated(&read.unwrap_err()));
    }
}
