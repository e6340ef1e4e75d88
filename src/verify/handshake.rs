//! What providers ask of an endpoint instead of bringing an event, and what it answers.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::json;

use super::encoding::to_hex;
use super::key::Key;
use super::{Denied, Input, Secret};

/// Answers the verified body of a request, given the key that it was signed with, if it asks.
pub type Handshake = fn(&[u8], &Key) -> Option<Response<Bytes>>;

/// Bodies beyond this are events and are not looked at, in bytes.
const MAX_BODY: usize = 16 * 1024;

/// The longest challenge that is sent back, in bytes.
const MAX_CHALLENGE: usize = 1024;

const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");

/// Slack's `url_verification`: the challenge comes back as text.
pub(super) fn slack(body: &[u8], _: &Key) -> Option<Response<Bytes>> {
    #[derive(Deserialize)]
    struct Ask {
        r#type: String,
        challenge: String,
    }
    let ask: Ask = small_json(body)?;
    (ask.r#type == "url_verification").then(|| echo(&ask.challenge))?
}

/// Zoom's `endpoint.url_validation`: the token comes back, and its HMAC by the same secret.
///
/// Whoever could ask this unsigned, with a token of the form that Zoom signs (`v0:...`), would be
/// given signatures for anything. So it is answered after verification only, and no such token is
/// signed even then.
pub(super) fn zoom(body: &[u8], key: &Key) -> Option<Response<Bytes>> {
    #[derive(Deserialize)]
    struct Ask {
        event: String,
        payload: Payload,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Payload {
        plain_token: String,
    }
    let ask: Ask = small_json(body)?;
    let token = ask.payload.plain_token;
    if ask.event != "endpoint.url_validation" || token.len() > MAX_CHALLENGE || token.contains(':')
    {
        return None;
    }
    let encrypted = to_hex(key.mac()?.sign(|take| take(token.as_bytes())).as_ref());
    Some(json_answer(&json!({"plainToken": token, "encryptedToken": encrypted})))
}

/// Discord's PINGs: of the interactions endpoint (type 1, answered in kind), and of webhook events
/// (type 0, answered 204), where type 1 is an event.
pub(super) fn discord(body: &[u8], _: &Key) -> Option<Response<Bytes>> {
    #[derive(Deserialize)]
    struct Ask {
        r#type: u64,
        event: Option<IgnoredAny>,
    }
    match small_json(body)? {
        Ask { r#type: 0, event: None } => {
            // Discord wants a content type even here.
            let mut response = answer("application/json", Bytes::new());
            *response.status_mut() = StatusCode::NO_CONTENT;
            Some(response)
        }
        Ask { r#type: 1, event: None } => Some(json_answer(&json!({"type": 1}))),
        _ => None,
    }
}

/// Meta's `hub.challenge`, which is not signed: it shows the verify token.
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
    let is_ours = verify_token.is(parameter("hub.verify_token")?.as_bytes());
    Some(if is_ours { echo(&challenge).ok_or(Denied::Malformed) } else { Err(Denied::Mismatch) })
}

/// The answer to the `OPTIONS` by which a CloudEvents sender asks for permission (HTTP 1.1 Web Hooks
/// for Event Delivery, section 4), where its origin is allowed; `*` in `allowed` is any.
/// `per_minute` is how many requests are taken, if there is a limit.
///
/// A callback that the sender offers is not called: it would let a stranger choose what we connect to.
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

/// A challenge as text that no browser takes for anything else; `None` when it is too long.
fn echo(challenge: &str) -> Option<Response<Bytes>> {
    let body = || Bytes::copy_from_slice(challenge.as_bytes());
    (challenge.len() <= MAX_CHALLENGE).then(|| answer("text/plain; charset=utf-8", body()))
}

fn json_answer(value: &serde_json::Value) -> Response<Bytes> {
    answer("application/json", value.to_string().into())
}

fn answer(content_type: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
