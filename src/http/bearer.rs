//! Parses `Authorization: Bearer <token>` (RFC 6750, section 2.1).

use axum::body::Body;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::HttpError;

/// The reason why a request has no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBearer {
    /// The header is missing or has another scheme.
    Missing,
    /// The value is not ASCII.
    Malformed,
}

/// The token of a request.
///
/// # Errors
/// [`NoBearer`] if the request has none.
pub fn bearer(headers: &HeaderMap) -> Result<&str, NoBearer> {
    let value = headers.get(AUTHORIZATION).ok_or(NoBearer::Missing)?;
    // A token is ASCII; any other value cannot be one.
    let text = value.to_str().map_err(|_| NoBearer::Malformed)?;
    let (scheme, token) = text.split_once(' ').ok_or(NoBearer::Missing)?;
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("Bearer") || token.is_empty() {
        return Err(NoBearer::Missing);
    }
    Ok(token)
}

/// The response of an API that uses bearer tokens: a 401 gets a challenge (RFC 6750, section 3).
pub fn api_response(error: HttpError) -> Response<Body> {
    let mut response = error.into_response().map(Body::new);
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
