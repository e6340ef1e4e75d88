//! The body as Twilio's signature covers it: form parameters, or a digest in the URL.

use std::borrow::Cow;

use http::header::CONTENT_TYPE;
use ring::digest;

use super::encoding::hex;
use super::{Denied, Input};
use crate::event::{MAX_PAIRS, MediaType};

/// Form parameters, in signing order.
pub(super) type Parameters<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// The parameters that are signed in place of the body; none if the query has a digest of it.
///
/// # Errors
/// If the digest does not match the body, or if the signature covers the body in neither way: a
/// signature of the URL alone must not authenticate a body.
pub(super) fn parameters<'a>(
    input: &Input<'a>,
    digest_parameter: &str,
) -> Result<Parameters<'a>, Denied> {
    let mut query = form_urlencoded::parse(input.query().as_bytes());
    if let Some((_, digest)) = query.find(|(name, _)| name == digest_parameter) {
        return is_digest(&digest, input.body).then(Vec::new).ok_or(Denied::Mismatch);
    }
    if input.body.is_empty() {
        return Ok(Vec::new());
    }
    let content_type = input.headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
    if content_type.map(MediaType::of) != Some(MediaType::UrlEncoded) {
        return Err(Denied::BodyNotCovered);
    }
    sorted(input.body)
}

/// Sorts by name, then by value; duplicates are removed.
fn sorted(body: &[u8]) -> Result<Parameters<'_>, Denied> {
    let mut parameters: Vec<_> = form_urlencoded::parse(body).take(MAX_PAIRS + 1).collect();
    if parameters.len() > MAX_PAIRS {
        return Err(Denied::Malformed);
    }
    parameters.sort_unstable();
    parameters.dedup();
    Ok(parameters)
}

fn is_digest(digits: &str, body: &[u8]) -> bool {
    let mut given = [0; 32];
    hex(digits.as_bytes(), &mut given).is_some()
        && digest::digest(&digest::SHA256, body).as_ref() == given
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_sorted_by_bytes_and_each_counts_once() {
        let parameters = sorted(b"b=2&a=2&B=1&a=1&a=2&c=%C3%A9+%2B").unwrap();
        let text: Vec<_> =
            parameters.iter().map(|(name, value)| format!("{name}{value}")).collect();
        assert_eq!(text, ["B1", "a1", "a2", "b2", "cé +"]);
    }

    #[test]
    fn more_parameters_than_a_form_may_have_are_refused() {
        assert!(sorted("a&".repeat(MAX_PAIRS).as_bytes()).is_ok());
        assert_eq!(sorted("a&".repeat(MAX_PAIRS + 1).as_bytes()), Err(Denied::Malformed));
    }
}
