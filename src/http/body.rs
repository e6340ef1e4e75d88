//! Reads request bodies of the operator's own APIs, bounded in size and time.

use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::time::timeout;

/// The time limit for receiving a body.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The reason why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// The body exceeds its size limit.
    TooLarge,
    /// The body exceeded its time limit.
    TooSlow,
    /// The connection broke.
    Broken,
}

/// Reads a body of at most `max` bytes, whatever its content type.
///
/// # Errors
/// [`BodyError`].
pub async fn read_body(body: Body, max: usize) -> Result<Bytes, BodyError> {
    if body.size_hint().lower() > max as u64 {
        return Err(BodyError::TooLarge);
    }
    let collected = timeout(TIMEOUT, Limited::new(body, max).collect()).await;
    match collected.map_err(|_| BodyError::TooSlow)? {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Err(error) => {
            tracing::debug!(%error, "the connection broke while a request body was read");
            Err(BodyError::Broken)
        }
    }
}
