//! Bodies of type `application/x-www-form-urlencoded`.

use super::fields::FormFields;
use super::{Event, EventError};

/// The number of pairs that a body may have.
pub const MAX_PAIRS: usize = 10_000;

/// Parses a form as the WHATWG URL standard does: any bytes are valid, `+` is a space, a name
/// without `=` has an empty value, and percent-decoded bytes that are not UTF-8 become U+FFFD.
pub(super) fn event(body: &[u8]) -> Result<Event, EventError> {
    let mut fields = FormFields::default();
    for (seen, (name, value)) in form_urlencoded::parse(body).enumerate() {
        if seen == MAX_PAIRS {
            return Err(EventError::TooManyFields { limit: MAX_PAIRS });
        }
        fields.push(name, value);
    }
    Ok(fields.into_event())
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
            (b"n=%ff\xff", "{\"n\":\"\u{fffd}\u{fffd}\"}"),
            (b"q=%22%5C%00", r#"{"q":"\"\\\u0000"}"#),
            (b"payload=%7B%22a%22%3A1%7D", r#"{"payload":"{\"a\":1}"}"#),
        ] {
            let event = event(body).unwrap().to_vec();
            assert_eq!(String::from_utf8(event).unwrap(), json);
        }
    }

    #[test]
    fn the_limit_of_pairs_is_allowed_and_one_more_is_not() {
        assert!(event("a&".repeat(MAX_PAIRS).as_bytes()).is_ok());
        assert_eq!(
            event("a&".repeat(MAX_PAIRS + 1).as_bytes()),
            Err(EventError::TooManyFields { limit: MAX_PAIRS })
        );
    }
}
