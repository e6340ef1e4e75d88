//! Reads authentication headers, which must occur exactly once.

use http::{HeaderMap, HeaderName};

use super::Denied;

/// The value of a header that must occur exactly once and must not be empty.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a [u8], Denied> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(Denied::MissingHeader)?;
    if values.next().is_some() {
        return Err(Denied::DoubledHeader);
    }
    if value.is_empty() { Err(Denied::Malformed) } else { Ok(value.as_bytes()) }
}

/// As [`single`], for a value that must be printable ASCII.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a str, Denied> {
    let value = single(headers, name)?;
    let text = std::str::from_utf8(value).ok();
    text.filter(|text| text.bytes().all(|byte| matches!(byte, b' '..=b'~')))
        .ok_or(Denied::Malformed)
}

/// The credentials of an `Authorization` header: the text after the scheme and one or more spaces
/// (RFC 9110, section 11.4). The scheme is case-insensitive.
pub(super) fn credentials<'a>(value: &'a [u8], scheme: &str) -> Result<&'a [u8], Denied> {
    let (name, rest) = value.split_at_checked(scheme.len()).ok_or(Denied::OtherScheme)?;
    if !name.eq_ignore_ascii_case(scheme.as_bytes()) {
        return Err(Denied::OtherScheme);
    }
    let start = rest.iter().position(|byte| *byte != b' ').filter(|spaces| *spaces > 0);
    start.map(|start| &rest[start..]).ok_or(Denied::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use http::header::AUTHORIZATION;

    #[test]
    fn a_text_is_printable_ascii() {
        for (value, expected) in [
            (&b"a b~"[..], Ok("a b~")),
            (b"a\tb", Err(Denied::Malformed)),
            ("é".as_bytes(), Err(Denied::Malformed)),
            (b"\xff", Err(Denied::Malformed)),
        ] {
            let value = HeaderValue::from_bytes(value).unwrap();
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
            assert_eq!(text(&headers, &AUTHORIZATION), expected);
        }
    }

    #[test]
    fn a_space_separates_the_scheme_from_its_credentials() {
        let read = |value: &'static str| credentials(value.as_bytes(), "Bearer");
        assert_eq!(read("Bearer a b"), Ok(&b"a b"[..]));
        assert_eq!(read("bEARER   t"), Ok(&b"t"[..]));
        assert_eq!(read("Bearer"), Err(Denied::Malformed));
        assert_eq!(read("Bearer  "), Err(Denied::Malformed));
        assert_eq!(read("Bearert"), Err(Denied::Malformed));
        assert_eq!(read("Bearer\tt"), Err(Denied::Malformed));
        assert_eq!(read("Basic t"), Err(Denied::OtherScheme));
        assert_eq!(read("B"), Err(Denied::OtherScheme));
    }
}
