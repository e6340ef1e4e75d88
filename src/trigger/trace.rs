//! The spans of a trigger and their attributes (OpenTelemetry semantic conventions for HTTP servers
//! and messaging). The path, the query, headers and bodies are secret here and in no span.

use http::StatusCode;
use http::request::Parts;
use opentelemetry::trace::SpanKind;
use uuid::Uuid;

use crate::routes::{Route, TriggerOutcome};
use crate::traces::{Span, Traces};

/// Replaces the path, which is secret.
const ROUTE: &str = "/apps/{app}/webhooks/{webhook}";

/// The span of a whole request with a known route. A request without a route has no owner, and no
/// span.
pub fn receive(traces: &Traces, head: &Parts, route: &Route) -> Span {
    let name = || format!("{} {ROUTE}", head.method).into();
    let mut span = traces.receive(&head.headers, name, SpanKind::Server);
    span.describe(|| {
        [
            ("http.request.method", head.method.to_string().into()),
            ("http.route", ROUTE.into()),
            ("webhook.namespace", route.app.namespace.to_string().into()),
            ("webhook.app", route.app.name.to_string().into()),
            ("webhook.name", route.name.to_string().into()),
        ]
    });
    span
}

/// Ends the span of a request. The label of the outcome is an attribute.
pub fn answered(mut span: Span, outcome: TriggerOutcome, status: StatusCode, event: Option<Uuid>) {
    span.describe(|| {
        [
            ("http.response.status_code", i64::from(status.as_u16()).into()),
            ("webhook.outcome", outcome.as_str().into()),
        ]
    });
    if let Some(event) = event {
        span.describe(|| [("messaging.message.id", event.to_string().into())]);
    }
    // A sender's error is not an error of the server.
    if status.is_server_error() {
        span.fail(status.as_str().to_owned());
    }
}

/// The span of verification.
pub fn verify(request: &Span) -> Span {
    request.child("verify", SpanKind::Internal)
}

/// The span of storing an event; the spans of its delivery attempts link to it.
pub fn store(request: &Span, route: &Route, event: Uuid, bytes: usize) -> Span {
    let mut span = request.child("store", SpanKind::Producer);
    span.describe(|| {
        let app = &route.app;
        [
            ("messaging.system", env!("CARGO_PKG_NAME").into()),
            ("messaging.operation.name", "store".into()),
            ("messaging.operation.type", "send".into()),
            ("messaging.destination.name", format!("{}/{}", app.namespace, app.name).into()),
            ("messaging.message.id", event.to_string().into()),
            ("messaging.message.body.size", (bytes as i64).into()),
        ]
    });
    span
}
