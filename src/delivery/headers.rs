//! The headers of the listener call.

use std::borrow::Cow;

use http::header::{HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use uuid::Uuid;

use super::Subject;
use super::http1::RequestHead;
use crate::event::cloud_event;
use crate::routes::ForwardedHeaders;
use crate::traces::{TRACEPARENT, TRACESTATE, TraceContext};

/// The event's id, in listener calls and in responses of the trigger port.
pub const EVENT_ID: HeaderName = HeaderName::from_static("webhook-event-id");
/// The `User-Agent` of all outgoing requests.
pub const OPERATOR: HeaderValue =
    HeaderValue::from_static(concat!("webhook-operator/", env!("CARGO_PKG_VERSION")));
/// The trigger's query string, with `spec.forwardQuery`.
pub const QUERY: HeaderName = HeaderName::from_static("webhook-query");
const APP_UUID: HeaderName = HeaderName::from_static("webhook-app-uuid");
const UUID: HeaderName = HeaderName::from_static("webhook-uuid");
const ACTION: HeaderName = HeaderName::from_static("webhook-action");
const ATTEMPT: HeaderName = HeaderName::from_static("webhook-attempt");

/// The headers that only the operator sets.
const OWN: [HeaderName; 9] =
    [HOST, USER_AGENT, EVENT_ID, APP_UUID, UUID, ACTION, ATTEMPT, TRACEPARENT, TRACESTATE];

/// Writes the operator's headers and those of the envelope. A header of the sender cannot replace
/// one of the operator's. `trace` is the context of the attempt's span.
pub fn write(
    head: &mut RequestHead,
    envelope: &HeaderMap,
    subject: Subject<'_>,
    authority: &HeaderValue,
    event: Uuid,
    number: u32,
    trace: &TraceContext,
) {
    head.push(&HOST, authority.as_bytes());
    head.push(&USER_AGENT, OPERATOR.as_bytes());
    push_uuid(head, &EVENT_ID, event);
    push_uuid(head, &APP_UUID, subject.app.uuid);
    push_uuid(head, &UUID, subject.webhook);
    head.push(&ACTION, action_value(subject.action).as_bytes());
    head.push(&ATTEMPT, HeaderValue::from(number).as_bytes());
    head.push(&TRACEPARENT, &trace.parent_value());
    if let Some(state) = trace.state_value() {
        head.push(&TRACESTATE, state.as_bytes());
    }
    for (name, value) in envelope.iter().filter(|(name, _)| !OWN.contains(name)) {
        head.push(name, value.as_bytes());
    }
}

fn push_uuid(head: &mut RequestHead, name: &HeaderName, uuid: Uuid) {
    let mut buffer = Uuid::encode_buffer();
    head.push(name, uuid.as_hyphenated().encode_lower(&mut buffer).as_bytes());
}

/// Filters the headers of a trigger: keeps those of `forwarded`, which the webhook lists, those in
/// `provider`, in which its provider describes the event, and the attributes of a CloudEvent. An
/// empty result reuses the allocation of `sent` for the operator's headers.
pub fn passed_on(
    forwarded: &ForwardedHeaders,
    provider: &[HeaderName],
    mut sent: HeaderMap,
) -> HeaderMap {
    let is_attribute = |name: &HeaderName| name.as_str().starts_with(cloud_event::HEADER_PREFIX);
    // Matched by the beginning of their names: an attribute, or a prefix of the webhook.
    let is_matched = |name: &HeaderName| is_attribute(name) || forwarded.has_prefix_of(name);
    let has_matches = sent.keys().any(is_matched);
    if forwarded.is_empty() && provider.is_empty() && !has_matches {
        sent.clear();
        return sent;
    }
    let mut passed = HeaderMap::with_capacity(16);
    let listed = forwarded.names.iter().filter(|name| !provider.contains(name));
    let others = provider.iter().chain(listed).filter(|name| !is_matched(name));
    for name in sent.keys().filter(|name| is_matched(name)).chain(others) {
        for value in sent.get_all(name) {
            passed.append(name.clone(), value.clone());
        }
    }
    passed
}

/// Adds the query string of a trigger, if it has one.
pub fn forward_query(headers: &mut HeaderMap, query: Option<&str>) {
    let value = query.filter(|query| !query.is_empty()).map(HeaderValue::from_str);
    // Cannot fail: a query consists of visible ASCII characters.
    if let Some(Ok(value)) = value {
        headers.insert(QUERY, value);
    }
}

/// A UUID as a header value.
pub fn uuid_value(uuid: Uuid) -> HeaderValue {
    let mut buffer = Uuid::encode_buffer();
    let text = uuid.as_hyphenated().encode_lower(&mut buffer);
    // Cannot fail: hexadecimal digits and hyphens are valid in a header value.
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// An action is arbitrary text. In the header, `%` and everything except printable ASCII are
/// percent-encoded (RFC 3986, section 2.1).
fn action_value(action: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| (byte == b' ' || byte.is_ascii_graphic()) && byte != b'%';
    if action.bytes().all(is_plain) && action.trim() == action {
        return Cow::Borrowed(action);
    }
    let mut encoded = String::with_capacity(3 * action.len());
    for byte in action.bytes() {
        if is_plain(byte) && byte != b' ' {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    Cow::Owned(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_action_becomes_a_valid_header_value() {
        for (action, value) in [
            ("exampleListener", "exampleListener"),
            ("two words", "two words"),
            (" padded", "%20padded"),
            ("zwölf", "zw%C3%B6lf"),
            ("a\r\nInjected: b", "a%0D%0AInjected:%20b"),
            ("100%", "100%25"),
        ] {
            assert_eq!(action_value(action), value);
        }
    }
}
