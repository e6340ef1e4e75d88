//! Handshakes: requests by which a provider verifies the endpoint, and their responses.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::json;

use super::encoding::to_hex;
use super::key::VerifyingKey;
use super::{Denied, Input, Secret};

/// The response to a verified body if it is a handshake request. The key is the one that signed the
/// body.
pub type Handshake = fn(&[u8], &VerifyingKey) -> Option<Response<Bytes>>;

/// The largest body that is parsed as a handshake, in bytes; larger ones are events.
pub(super) const MAX_BODY: usize = 16 * 1024;

/// The longest challenge that is echoed, in bytes.
const MAX_CHALLENGE: usize = 1024;

const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");

/// Slack's `url_verification`: returns the challenge as text.
pub(super) fn slack(body: &[u8], _: &VerifyingKey) -> Option<Response<Bytes>> {
    #[derive(Deserialize)]
    struct Request {
        r#type: String,
        challenge: String,
    }
    let request: Request = small_json(body)?;
    (request.r#type == "url_verification").then(|| echo(&request.challenge))?
}

/// Zoom's `endpoint.url_validation`: returns the token and its HMAC, made with the webhook's
/// secret.
///
/// An unauthenticated client that could request this for a token of the form that Zoom signs
/// (`v0:...`) would get valid signatures for arbitrary events. It is therefore answered only after
/// verification, and a token with a colon is never signed.
pub(super) fn zoom(body: &[u8], key: &VerifyingKey) -> Option<Response<Bytes>> {
    #[derive(Deserialize)]
    struct Request {
        event: String,
        payload: Payload,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Payload {
        plain_token: String,
    }
    let request: Request = small_json(body)?;
    let token = request.payload.plain_token;
    if request.event != "endpoint.url_validation"
        || token.len() > MAX_CHALLENGE
        || token.contains(':')
    {
        return None;
    }
    let encrypted = to_hex(key.mac()?.sign(|take| take(token.as_bytes())).as_ref());
    Some(json_response(&json!({"plainToken": token, "encryptedToken": encrypted})))
}

/// Discord's PINGs: of the interactions endpoint (type 1, answered with type 1), and of webhook
/// events (type 0, answered with 204; for these, type 1 is an event).
pub(super) fn discord(body: &[u8], _: &VerifyingKey) -> Option<Response<Bytes>> {
    #[derive(Deserialize)]
    struct Request {
        r#type: u64,
        event: Option<IgnoredAny>,
    }
    match small_json(body)? {
        Request { r#type: 0, event: None } => {
            // Discord requires a content type even for an empty response.
            let mut response = new_response("application/json", Bytes::new());
            *response.status_mut() = StatusCode::NO_CONTENT;
            Some(response)
        }
        Request { r#type: 1, event: None } => Some(json_response(&json!({"type": 1}))),
        _ => None,
    }
}

/// Meta's `hub.challenge`. It is not signed; the verify token authenticates it.
pub(super) fn subscription(
    input: &Input<'_>,
    verify_token: &Secret,
) -> Option<Result<Response<Bytes>, Denied>> {
    if input.method != Method::GET {
        return None;
    }
    let parameter = |wanted: &str| {
        let mut query = form_urlencoded::parse(input.query().as_bytes());
        query.find(|(name, _)| name == wanted).map(|(_, value)| value)
    };
    if parameter("hub.mode")? != "subscribe" {
        return None;
    }
    let challenge = parameter("hub.challenge")?;
    let is_valid = verify_token.matches(parameter("hub.verify_token")?.as_bytes());
    Some(if is_valid { echo(&challenge).ok_or(Denied::Malformed) } else { Err(Denied::Mismatch) })
}

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

fn small_json<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    (body.len() <= MAX_BODY).then(|| serde_json::from_slice(body).ok())?
}

/// Returns a challenge as plain text with `nosniff`, so that no browser renders it as HTML; `None`
/// if it is too long.
fn echo(challenge: &str) -> Option<Response<Bytes>> {
    let body = || Bytes::copy_from_slice(challenge.as_bytes());
    (challenge.len() <= MAX_CHALLENGE).then(|| new_response("text/plain; charset=utf-8", body()))
}

fn json_response(value: &serde_json::Value) -> Response<Bytes> {
    new_response("application/json", value.to_string().into())
}

fn new_response(content_type: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
