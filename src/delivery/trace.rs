//! Attributes of an attempt's span (OpenTelemetry semantic conventions for HTTP clients).

use http::HeaderValue;
use http::uri::Authority;
use opentelemetry::trace::SpanKind;
use uuid::Uuid;

use super::{CallError, ListenerResponse, Subject, outcome};
use crate::traces::Span;

/// The name of the span of an attempt.
pub const NAME: &str = "attempt";
/// The kind of the span: a client call, even if the event was stored before.
pub const KIND: SpanKind = SpanKind::Client;

/// Adds the attributes that are known before the call: webhook, event, attempt and server address.
pub fn begun(
    span: &mut Span,
    subject: Subject<'_>,
    authority: &HeaderValue,
    event: Uuid,
    number: u32,
) {
    span.describe(|| {
        [
            ("http.request.method", "POST".into()),
            ("webhook.namespace", subject.app.namespace.to_string().into()),
            ("webhook.app", subject.app.name.to_string().into()),
            ("webhook.name", subject.name.to_owned().into()),
            ("webhook.attempt", i64::from(number).into()),
            ("messaging.message.id", event.to_string().into()),
        ]
    });
    if number > 1 {
        let resends = i64::from(number) - 1;
        span.describe(|| [("http.request.resend_count", resends.into())]);
    }
    // The URL's path is not recorded: it may contain a secret.
    let Ok(authority) = Authority::try_from(authority.as_bytes()) else { return };
    span.describe(|| [("server.address", authority.host().to_owned().into())]);
    if let Some(port) = authority.port_u16() {
        span.describe(|| [("server.port", i64::from(port).into())]);
    }
}

/// Adds the result of the call and ends the span.
pub fn ended(mut span: Span, called: &Result<ListenerResponse, CallError>) {
    let status = match called {
        Ok(response) => Some(response.status),
        Err(CallError::Refused(refusal)) => Some(refusal.status),
        Err(_) => None,
    };
    if let Some(status) = status {
        span.describe(|| [("http.response.status_code", i64::from(status.as_u16()).into())]);
    }
    match (called, status) {
        (Ok(_), _) => {}
        (Err(_), Some(status)) => span.fail(status.as_str().to_owned()),
        (Err(_), None) => span.fail(outcome(called).as_str()),
    }
}
