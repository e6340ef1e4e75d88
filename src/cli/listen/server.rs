//! The HTTP server of the development listener.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use jiff::Timestamp;
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::sync::watch;
use tokio::time::sleep;

use super::call::Call;
use crate::plan::duration;
use crate::resources::MAX_BODY_BYTES;

/// Largest call, in bytes: the largest trigger in base64, plus the envelope.
const MAX_CALL: usize = MAX_BODY_BYTES as usize / 3 * 4 + 4 * 1024 * 1024;

/// Timeout of calls in flight when the listener stops.
const DRAIN: Duration = Duration::from_secs(1);

/// The default response.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// Delay of the response.
    pub delay: Duration,
    /// The body, as plain text.
    pub body: Bytes,
}

impl Default for Answer {
    fn default() -> Self {
        Self { status: StatusCode::OK, delay: Duration::ZERO, body: Bytes::from_static(b"ok") }
    }
}

/// A bound development listener.
#[derive(Debug)]
pub struct DevListener {
    socket: TcpListener,
    answer: Answer,
}

/// What all calls share.
struct Shared {
    answer: Answer,
    on_call: Box<dyn Fn(Call) + Send + Sync>,
}

impl DevListener {
    /// Binds an address and returns it; port 0 is replaced by the port that the kernel chose.
    ///
    /// # Errors
    /// The address cannot be resolved or bound.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<(Self, SocketAddr)> {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        Ok((Self { socket, answer: Answer::default() }, address))
    }

    /// Replaces the default response, 200 `ok` without delay.
    pub fn answering(self, answer: Answer) -> Self {
        Self { answer, ..self }
    }

    /// Serves until `stop` turns true or its sender is dropped; calls in flight then have one
    /// second. Calls `on_call` before each response; it must not block.
    pub async fn run(
        self,
        stop: watch::Receiver<bool>,
        on_call: impl Fn(Call) + Send + Sync + 'static,
    ) {
        let Self { socket, answer } = self;
        let shared = Arc::new(Shared { answer, on_call: Box::new(on_call) });
        let router = Router::new().fallback(handle).with_state(shared);
        let server = axum::serve(socket, router).with_graceful_shutdown(stopped(stop.clone()));
        let deadline = async {
            stopped(stop).await;
            sleep(DRAIN).await;
        };
        tokio::select! {
            _ = server => {}
            () = deadline => {}
        }
    }
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let answer = match asked_for(&shared.answer, parts.uri.query()) {
        Ok(answer) => answer,
        Err(why) => return (StatusCode::BAD_REQUEST, why).into_response(),
    };
    let body = match read(body).await {
        Ok(body) => body,
        Err(status) => return status.into_response(),
    };
    let Answer { status, delay, body: text } = answer;
    (shared.on_call)(Call {
        at: Timestamp::now(),
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        body,
        status,
        delay,
    });
    sleep(delay).await;
    match status {
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED => {
            status.into_response()
        }
        _ => (status, text).into_response(),
    }
}

/// The response to a call, with the overrides in its query: `?status=503&delay=2s`.
fn asked_for(answer: &Answer, query: Option<&str>) -> Result<Answer, &'static str> {
    let mut answer = answer.clone();
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*name {
            "status" => answer.status = parse_status(&value)?,
            "delay" => answer.delay = parse_delay(&value)?,
            _ => {}
        }
    }
    Ok(answer)
}

async fn read(body: Body) -> Result<Bytes, StatusCode> {
    match Limited::new(body, MAX_CALL).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => {
            tracing::warn!(%error, "a call cannot be read");
            let too_large = error.is::<LengthLimitError>();
            Err(if too_large { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST })
        }
    }
}

/// Parses a status of a final response.
///
/// # Errors
/// The expected format.
pub fn parse_status(text: &str) -> Result<StatusCode, &'static str> {
    let status = text.parse::<StatusCode>().ok();
    let status = status.filter(|status| (200..600).contains(&status.as_u16()));
    status.ok_or("expected a status from 200 to 599")
}

/// Parses a duration.
///
/// # Errors
/// The expected format.
pub fn parse_delay(text: &str) -> Result<Duration, &'static str> {
    let zero = (text == "0").then_some(Duration::ZERO);
    zero.or_else(|| duration::parse(text)).ok_or("expected a duration such as 100ms, 2s or 1m30s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_changes_the_answer_of_its_call() {
        let answer = Answer { status: StatusCode::ACCEPTED, ..Answer::default() };
        let cases = [
            (None, Ok((202, 0))),
            (Some(""), Ok((202, 0))),
            (Some("x=1&status"), Err("expected a status from 200 to 599")),
            (Some("status=503"), Ok((503, 0))),
            (Some("status=503&delay=2s"), Ok((503, 2000))),
            (Some("delay=150ms&x=%20"), Ok((202, 150))),
            (Some("delay=0"), Ok((202, 0))),
            (Some("status=101"), Err("expected a status from 200 to 599")),
            (Some("status=600"), Err("expected a status from 200 to 599")),
            (Some("delay=2"), Err("expected a duration such as 100ms, 2s or 1m30s")),
        ];
        for (query, expected) in cases {
            let found = asked_for(&answer, query);
            let found = found.map(|found| (found.status.as_u16(), found.delay.as_millis()));
            assert_eq!(found, expected, "{query:?}");
        }
    }
}
