//! One request to the API server: with a deadline, and an error that reads as a sentence.

use std::error::Error;
use std::time::Duration;

use tokio::time::timeout;

/// How long an ordinary request may take.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No answer within the deadline.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// The API server said no, or could not be reached.
    #[error("{}", describe(.0))]
    Kube(#[from] kube::Error),
}

impl CallError {
    /// The HTTP status of the API server's answer, if there was one.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Timeout(_) => None,
            Self::Kube(error) => code(error),
        }
    }
}

/// The HTTP status of the API server's answer, if there was one.
pub fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

/// Waits for a request, at most [`DEADLINE`].
pub async fn call<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, CallError> {
    within(DEADLINE, request).await
}

/// Waits for a request, at most `deadline`.
pub async fn within<T>(
    deadline: Duration,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, CallError> {
    match timeout(deadline, request).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(CallError::Timeout(deadline)),
    }
}

/// The API server's own message, or the causes in a row: kube's text has debug output in it.
pub fn describe(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return if status.message.is_empty() {
            status.reason.clone()
        } else {
            status.message.clone()
        };
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Many errors repeat the text of their cause.
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
