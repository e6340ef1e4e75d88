//! The envelope `Raw`: body, `Content-Type`, `Content-Encoding` and query string as the sender sent
//! them.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue};

use super::Enveloped;
use crate::delivery::{OutgoingEvent, Pieces};

/// The name under which the query string is stored among an event's headers. No webhook can forward
/// a header of the sender with this name.
pub const RAW_QUERY: HeaderName = HeaderName::from_static("webhook-raw-query");

/// Creates the request.
pub fn wrap(outgoing: OutgoingEvent) -> Enveloped {
    let content = outgoing.content;
    let mut headers = content.headers;
    let query = headers.remove(RAW_QUERY);
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

/// Removes what [`preserve`] added, for an app that has another envelope by now.
pub fn discard(headers: &mut HeaderMap) {
    headers.remove(CONTENT_ENCODING);
    headers.remove(RAW_QUERY);
}
