//! The page: apps, webhooks and deliveries in a browser, from files that are part of the program.

mod assets;
mod headers;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};

use self::assets::Asset;
pub use self::headers::secure;
use super::Guard;
use super::error::ApiError;

/// `/`, and what it loads from `/ui/`. The files hold nothing that is not public; under
/// [`Guard::Loopback`] they are for this machine alone all the same, and for a name of its own.
pub fn router(guard: Guard) -> Router {
    Router::new().route("/", get(index)).route("/ui/{name}", get(asset)).with_state(guard)
}

/// A request that may load the page.
struct Visitor;

impl FromRequestParts<Guard> for Visitor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, guard: &Guard) -> Result<Self, ApiError> {
        guard.admits(parts).map(|()| Self)
    }
}

async fn index(_: Visitor, headers: HeaderMap) -> Response {
    serve(assets::index(), &headers)
}

async fn asset(
    _: Visitor,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let asset = assets::find(&name).ok_or(ApiError::NotFound)?;
    Ok(serve(asset, &headers))
}

/// A file, or 304 to who has it. It is asked for each time: after an update no part is an old one.
fn serve(asset: &Asset, headers: &HeaderMap) -> Response {
    let known = headers.get_all(IF_NONE_MATCH).iter().any(|tag| tag == asset.tag.as_str());
    let mut response = match known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Body::from(asset.bytes).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&asset.tag) {
        headers.insert(ETAG, tag);
    }
    response
}
