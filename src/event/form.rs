//! Bodies of type `application/x-www-form-urlencoded`.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use super::charset::Charset;
use super::fields::{FieldValue, FormFields};
use super::json::BYTE_ORDER_MARK;
use super::rule::FormField;
use super::text::base64;
use super::{Event, EventError};

/// The number of pairs that a body may have.
pub const MAX_PAIRS: usize = 10_000;

/// Parses a form as the WHATWG URL standard does: `+` is a space, a name without `=` has an empty
/// value, and a `%` without two digits is itself. A byte order mark in front is removed.
///
/// Names and values are text in `charset`. One that is not becomes base64 of its bytes: the
/// standard would put U+FFFD in the place of what it cannot decode.
///
/// # Errors
/// The form has too many pairs, or no JSON object in a field that is required.
pub(super) fn event(
    charset: Charset,
    body: &[u8],
    field: Option<&FormField>,
) -> Result<Event, EventError> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    let mut fields = FormFields::default();
    let pairs = body.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty());
    for (seen, pair) in pairs.enumerate() {
        if seen == MAX_PAIRS {
            return Err(EventError::TooManyFields { limit: MAX_PAIRS });
        }
        let mut halves = pair.splitn(2, |&byte| byte == b'=');
        let [name, value] = [(); 2].map(|()| decode(charset, halves.next().unwrap_or_default()));
        fields.push(name, FieldValue::Text(value));
    }
    fields.into_event(field)
}

fn decode(charset: Charset, encoded: &[u8]) -> Cow<'_, str> {
    let is_plain = charset.is_utf_8() && !encoded.iter().any(|byte| matches!(byte, b'%' | b'+'));
    if let Some(text) = is_plain.then(|| str::from_utf8(encoded).ok()).flatten() {
        return Cow::Borrowed(text);
    }
    let spaced: Vec<u8> =
        encoded.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    let bytes: Vec<u8> = percent_decode(&spaced).collect();
    Cow::Owned(charset.decode(&bytes).map_or_else(|| base64(&bytes), Cow::into_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_a_map_of_strings() {
        for (body, json) in [
            (&b"a=1"[..], r#"{"a":"1"}"#),
            (b"z=1&a=2&z=3", r#"{"z":["1","3"],"a":"2"}"#),
            (b"a+b=c%20d%2B", r#"{"a b":"c d+"}"#),
            (b"a&b=&=c&=", r#"{"a":"","b":"","":["c",""]}"#),
            (b"&&&", "{}"),
            (b"a=b=c", r#"{"a":"b=c"}"#),
            (b"a=%zz%4", r#"{"a":"%zz%4"}"#),
            (b"n=%C3%A9\xc3\xa9", r#"{"n":"éé"}"#),
            (b"n=%ff\xff", r#"{"n":"//8="}"#),
            (b"\xef\xbb\xbfa=1", r#"{"a":"1"}"#),
            (b"q=%22%5C%00", r#"{"q":"\"\\\u0000"}"#),
            (b"payload=%7B%22a%22%3A1%7D", r#"{"payload":"{\"a\":1}"}"#),
        ] {
            let event = event(Charset::UTF_8, body, None).unwrap().to_vec();
            assert_eq!(String::from_utf8(event).unwrap(), json);
        }
    }

    #[test]
    fn the_limit_of_pairs_is_allowed_and_one_more_is_not() {
        let event = |pairs: usize| event(Charset::UTF_8, "a&".repeat(pairs).as_bytes(), None);
        assert!(event(MAX_PAIRS).is_ok());
        assert_eq!(event(MAX_PAIRS + 1), Err(EventError::TooManyFields { limit: MAX_PAIRS }));
    }
}
