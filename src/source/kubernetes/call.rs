//! One request to the API server, with a deadline and a readable error.

use std::error::Error;
use std::time::Duration;

use tokio::time::timeout;

/// The deadline of an ordinary request.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No response within the deadline.
    #[error("no response within {} s", .0.as_secs())]
    Timeout(Duration),
    /// The API server rejected the request or is unreachable.
    #[error("{}", describe(.0))]
    Kube(#[from] kube::Error),
}

impl CallError {
    /// The HTTP status of the API server's response, if there was one.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Timeout(_) => None,
            Self::Kube(error) => code(error),
        }
    }
}

/// The HTTP status of the API server's response, if there was one.
pub fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

/// Waits for a response, at most [`DEADLINE`].
pub async fn call<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, CallError> {
    within(DEADLINE, request).await
}

/// Waits for a response, at most `deadline`.
pub async fn within<T>(
    deadline: Duration,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, CallError> {
    match timeout(deadline, request).await {
        Ok(response) => Ok(response?),
        Err(_) => Err(CallError::Timeout(deadline)),
    }
}

/// The API server's message, or the chain of causes. kube's own texts contain debug output.
pub fn describe(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.message.is_empty() => status.reason.clone(),
        kube::Error::Api(status) => status.message.clone(),
        kube::Error::Service(error) => error_chain(error.as_ref()),
        error => error_chain(error),
    }
}

fn error_chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |&error| error.source());
    causes.fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        // Many errors repeat the text of their cause.
        if text.ends_with(&cause) { text } else { format!("{text}: {cause}") }
    })
}
