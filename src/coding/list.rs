//! The codings that the headers of a request name.

use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use super::Coding;

/// The value of `Accept-Encoding` in the response to an unsupported coding (RFC 9110, section
/// 15.5.16).
pub const ACCEPTED: &str = "gzip, deflate, br, zstd";

/// The number of codings that a body may have, one around the other.
pub const MAX_CODINGS: usize = 2;

/// The codings of a body, in the order in which the sender applied them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Codings([Option<Coding>; MAX_CODINGS]);

/// A coding is unknown, or there are more than [`MAX_CODINGS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the content coding is not supported")]
pub struct UnsupportedCoding;

impl Codings {
    /// The codings of a request with these headers. Names are case-insensitive; `identity` is none.
    ///
    /// # Errors
    /// A coding is unknown, or there are too many.
    pub fn of(headers: &HeaderMap) -> Result<Self, UnsupportedCoding> {
        let mut codings = Self::default();
        for value in headers.get_all(CONTENT_ENCODING) {
            for name in value.as_bytes().split(|&byte| byte == b',') {
                if let Some(coding) = coding(name.trim_ascii())? {
                    codings.push(coding)?;
                }
            }
        }
        Ok(codings)
    }

    fn push(&mut self, coding: Coding) -> Result<(), UnsupportedCoding> {
        let free = self.0.iter_mut().find(|place| place.is_none());
        *free.ok_or(UnsupportedCoding)? = Some(coding);
        Ok(())
    }

    /// Whether the body has no coding.
    pub fn is_empty(self) -> bool {
        self.0[0].is_none()
    }

    /// The codings in the order in which they are decoded: the last one applied comes first.
    pub fn to_decode(self) -> impl Iterator<Item = Coding> {
        self.0.into_iter().rev().flatten()
    }
}

/// The coding with a name; none for `identity`, and for the empty elements that a list may have
/// (RFC 9110, section 5.6.1). `utf-8` is no coding either: some senders take this header for that of
/// the charset.
fn coding(name: &[u8]) -> Result<Option<Coding>, UnsupportedCoding> {
    const NAMES: [(&str, Option<Coding>); 8] = [
        ("gzip", Some(Coding::Gzip)),
        ("x-gzip", Some(Coding::Gzip)),
        ("deflate", Some(Coding::Deflate)),
        ("br", Some(Coding::Brotli)),
        ("zstd", Some(Coding::Zstd)),
        ("identity", None),
        ("utf-8", None),
        ("", None),
    ];
    let known = NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()));
    known.map(|(_, coding)| *coding).ok_or(UnsupportedCoding)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn decoded_in_order(values: &[&'static str]) -> Result<Vec<Coding>, UnsupportedCoding> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        Ok(Codings::of(&headers)?.to_decode().collect())
    }

    #[test]
    fn codings_come_from_one_header_or_several_in_any_case() {
        use Coding::{Brotli, Deflate, Gzip, Zstd};
        for (values, expected) in [
            (&[][..], &[][..]),
            (&["identity"], &[]),
            (&["UTF-8"], &[]),
            (&[""], &[]),
            (&["GZip"], &[Gzip]),
            (&["x-gzip"], &[Gzip]),
            (&["deflate,"], &[Deflate]),
            (&["gzip, br"], &[Brotli, Gzip]),
            (&["gzip", " Zstd "], &[Zstd, Gzip]),
            (&["identity, gzip , ,identity", "gzip"], &[Gzip, Gzip]),
        ] {
            assert_eq!(decoded_in_order(values).unwrap(), expected, "{values:?}");
        }
    }

    #[test]
    fn an_unknown_coding_and_a_third_one_are_refused() {
        for values in [
            &["compress"][..],
            &["gzip;q=1"],
            &["utf-16"],
            &["gzip br"],
            &["gz\u{ef}p"],
            &["gzip, compress"],
            &["gzip, br, zstd"],
            &["gzip", "gzip", "gzip"],
        ] {
            assert_eq!(decoded_in_order(values), Err(UnsupportedCoding), "{values:?}");
        }
    }

    #[test]
    fn what_is_accepted_is_what_is_decoded() {
        for name in ACCEPTED.split(", ") {
            assert!(coding(name.as_bytes()).unwrap().is_some(), "{name}");
        }
    }
}
