//! The handshake of CloudEvents senders.

use bytes::Bytes;
use http::header::ALLOW;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};

const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");

/// The response to the `OPTIONS` request by which a CloudEvents sender asks for permission (HTTP
/// 1.1 Web Hooks for Event Delivery, section 4), if its origin is in `allowed` (`*` allows any).
/// `per_minute` is the rate limit, if any.
///
/// `WebHook-Request-Callback` is ignored: a client could make the operator connect to any address.
pub fn cloud_events(
    method: &Method,
    headers: &HeaderMap,
    allowed: &[impl AsRef<str>],
    per_minute: Option<u32>,
) -> Option<Response<Bytes>> {
    let origin = headers.get(REQUEST_ORIGIN).filter(|_| method == Method::OPTIONS)?;
    let text = origin.to_str().ok().filter(|text| !text.is_empty())?;
    let mut allowed = allowed.iter().map(AsRef::as_ref);
    if !allowed.any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(text)) {
        return None;
    }
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static("POST"));
    headers.insert(ALLOWED_ORIGIN, origin.clone());
    let rate = per_minute.map_or(HeaderValue::from_static("*"), HeaderValue::from);
    headers.insert(ALLOWED_RATE, rate);
    Some(response)
}
