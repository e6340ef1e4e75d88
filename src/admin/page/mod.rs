//! The web page with apps, webhooks and deliveries. Its files are embedded in the program.

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
use super::error::AdminError;

/// Serves the page at `/` and its files under `/ui/`. The files are public. With
/// [`Guard::Loopback`] they are still served only to the local machine under one of its own names.
pub fn router(guard: Guard) -> Router {
    Router::new().route("/", get(index)).route("/ui/{name}", get(asset)).with_state(guard)
}

/// Extractor that rejects requests which may not load the page.
struct PageAccess;

impl FromRequestParts<Guard> for PageAccess {
    type Rejection = AdminError;

    async fn from_request_parts(parts: &mut Parts, guard: &Guard) -> Result<Self, AdminError> {
        guard.admits(parts).map(|()| Self)
    }
}

async fn index(_: PageAccess, headers: HeaderMap) -> Response {
    serve(assets::index(), &headers)
}

async fn asset(
    _: PageAccess,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, AdminError> {
    let asset = assets::find(&name).ok_or(AdminError::NotFound)?;
    Ok(serve(asset, &headers))
}

/// Serves a file, or 304 if the client has the current version. `no-cache` makes browsers
/// revalidate each file, so that they do not mix files of two versions after an update.
fn serve(asset: &Asset, headers: &HeaderMap) -> Response {
    let is_current = headers.get_all(IF_NONE_MATCH).iter().any(|tag| tag == asset.tag.as_str());
    let mut response = match is_current {
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
