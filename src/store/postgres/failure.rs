//! Classifies the errors of the database by their consequences for the store.

use std::error::Error as _;
use std::io;
use std::sync::Arc;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use crate::store::StoreError;

/// Why a transaction did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseFailure {
    /// The database rolled it back because of another transaction or a time limit. Nothing was
    /// written, and it may succeed when it is repeated.
    Conflict,
    /// Caused by the data of the operation. Nothing was written, and others are not affected.
    Isolated(Arc<str>),
    /// The database cannot be used at this time. If the failure came during the commit, its outcome
    /// is unknown. The connection must not be used any more.
    Unavailable(Arc<str>),
}

impl DatabaseFailure {
    /// A failure of the database as a whole.
    pub fn unavailable(why: impl Into<Arc<str>>) -> Self {
        Self::Unavailable(why.into())
    }

    /// The error for the caller of the operation.
    pub fn into_store_error(self) -> StoreError {
        match self {
            Self::Conflict => StoreError::Busy,
            Self::Isolated(why) => StoreError::Rejected(why),
            Self::Unavailable(why) => StoreError::Unavailable(why),
        }
    }
}

impl From<Error> for DatabaseFailure {
    fn from(error: Error) -> Self {
        error.as_db_error().map_or_else(|| Self::unavailable(text(&error)), of_database)
    }
}

/// Classifies what the server answered. An error that is not known to be harmless makes the store
/// unavailable: it is asked again over a new connection, which checks the server.
fn of_database(error: &DbError) -> DatabaseFailure {
    let code = error.code();
    let is_conflict = [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::QUERY_CANCELED,
    ];
    // Neither has the details, which may contain stored data.
    let why = format!("{} ({})", error.message(), code.code());
    match code.code().get(..2) {
        _ if is_conflict.contains(code) => DatabaseFailure::Conflict,
        // Data exceptions, violations of constraints, and limits of the program.
        Some("22" | "23" | "54") => DatabaseFailure::Isolated(why.into()),
        _ => DatabaseFailure::unavailable(why),
    }
}

/// The text of an error with its cause, without the details of the database.
pub fn text(error: &Error) -> String {
    if let Some(database) = error.as_db_error() {
        return format!("{} ({})", database.message(), database.code().code());
    }
    match error.source() {
        Some(cause) if cause.is::<io::Error>() || !error.to_string().contains(": ") => {
            let said = error.to_string();
            let cause = cause.to_string();
            if said.ends_with(&cause) { said } else { format!("{said}: {cause}") }
        }
        _ => error.to_string(),
    }
}
