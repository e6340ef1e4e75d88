//! The envelope `Raw`: body, `Content-Type`, `Content-Encoding` and query string as the sender sent
//! them.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue};

use super::Enveloped;
use crate::delivery::{OutgoingEvent, Pieces, transform};
use crate::event::BodyRule;

/// The name under which the query string is stored among an event's headers. No webhook can forward
/// a header of the sender with this name.
pub const RAW_QUERY: HeaderName = HeaderName::from_static("webhook-raw-query");

/// The name under which the rule is stored by which the body is converted to an event, unless this
/// is done by its content type. It is never sent.
pub const BODY_RULE: HeaderName = HeaderName::from_static("webhook-body-rule");

/// The prefix of all names under which the operator stores something among an event's headers.
const STORED_PREFIX: &str = "webhook-";

/// Creates the request.
pub fn wrap(outgoing: OutgoingEvent) -> Enveloped {
    let content = outgoing.content;
    let mut headers = content.headers;
    let query = headers.remove(RAW_QUERY);
    remove_stored(&mut headers);
    if let Some(content_type) = content.content_type {
        headers.insert(CONTENT_TYPE, content_type);
    }
    let mut body = Pieces::with_capacity(Pieces::capacity_for(&content.body));
    body.push(&content.body);
    Enveloped { body, headers, query }
}

/// Adds to the headers that are passed on what this envelope needs of a trigger in addition.
pub fn preserve(headers: &mut HeaderMap, encodings: &[HeaderValue], query: Option<&str>) {
    for encoding in encodings {
        headers.append(CONTENT_ENCODING, encoding.clone());
    }
    if let Some(query) = query.and_then(|query| HeaderValue::from_str(query).ok()) {
        headers.insert(RAW_QUERY, query);
    }
}

/// Adds to the headers that are passed on the rule by which the body is converted.
pub fn preserve_rule(headers: &mut HeaderMap, rule: &BodyRule) {
    if let Some(rule) = rule.to_text().and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(BODY_RULE, rule);
    }
}

/// The rule that [`preserve_rule`] added.
pub fn body_rule(headers: &HeaderMap) -> BodyRule {
    let text = headers.get(BODY_RULE).and_then(|value| value.to_str().ok());
    text.and_then(BodyRule::from_text).unwrap_or_default()
}

/// Removes what [`preserve`] and [`preserve_rule`] added, for an app that has another envelope by
/// now, and the inputs of a transform.
pub fn discard(headers: &mut HeaderMap) {
    headers.remove(CONTENT_ENCODING);
    remove_stored(headers);
}

/// Removes the headers that only the operator stores, and never sends.
fn remove_stored(headers: &mut HeaderMap) {
    // Most events have none, and a lookup costs more than to compare the names that there are.
    if headers.keys().any(|name| name.as_str().starts_with(STORED_PREFIX)) {
        for name in [BODY_RULE, RAW_QUERY].iter().chain(&transform::INPUTS) {
            headers.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_stored_headers_have_the_prefix() {
        for name in [BODY_RULE, RAW_QUERY].iter().chain(&transform::INPUTS) {
            assert!(name.as_str().starts_with(STORED_PREFIX), "{name}");
        }
    }
}
