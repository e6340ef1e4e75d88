//! What RFC 9112 asks of a request's head, as far as hyper leaves it to the server.
//!
//! Two recipients that read one request differently are how requests are smuggled past a proxy. So what a strict
//! proxy would refuse is refused here too, and the connection is closed.

use http::header::{HOST, TRANSFER_ENCODING};
use http::{HeaderMap, Request, Version};

use crate::http::HttpError;

/// Whether the head of a request is unambiguous.
///
/// # Errors
/// 400 `invalid_body`, and the connection is closed.
pub fn check<B>(request: &Request<B>) -> Result<(), HttpError> {
    if request.version() != Version::HTTP_11 {
        return Ok(());
    }
    let refuse = |message| Err(HttpError::bad_request("invalid_body", message).closing());
    let headers = request.headers();
    if !is_one(headers, HOST, |_| true) {
        // RFC 9112, section 3.2.
        return refuse("The request must have one Host header.");
    }
    let is_chunked = |value: &[u8]| value.eq_ignore_ascii_case(b"chunked");
    if headers.contains_key(TRANSFER_ENCODING) && !is_one(headers, TRANSFER_ENCODING, is_chunked) {
        // RFC 9112, section 6.1: no other coding is understood here.
        return refuse("The Transfer-Encoding must be chunked, and nothing else.");
    }
    Ok(())
}

fn is_one(headers: &HeaderMap, name: http::HeaderName, is_right: impl Fn(&[u8]) -> bool) -> bool {
    let mut values = headers.get_all(name).iter();
    values.next().is_some_and(|value| is_right(value.as_bytes())) && values.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_right(version: Version, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::post("/").version(version);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap()).is_ok()
    }

    #[test]
    fn a_request_has_one_host_and_no_coding_but_chunked() {
        let host = ("host", "a");
        assert!(is_right(Version::HTTP_11, &[host]));
        assert!(!is_right(Version::HTTP_11, &[]));
        assert!(!is_right(Version::HTTP_11, &[host, host]));
        assert!(is_right(Version::HTTP_10, &[]));
        assert!(is_right(Version::HTTP_2, &[]));
        for (codings, right) in [
            (&["chunked"][..], true),
            (&["Chunked"], true),
            (&["gzip, chunked"], false),
            (&["gzip", "chunked"], false),
            (&["chunked", "chunked"], false),
            (&["identity"], false),
        ] {
            let mut headers = vec![host];
            headers.extend(codings.iter().map(|coding| ("transfer-encoding", *coding)));
            assert_eq!(is_right(Version::HTTP_11, &headers), right, "{codings:?}");
        }
    }
}
