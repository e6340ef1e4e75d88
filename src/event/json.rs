//! JSON bodies: validated without building a tree, then passed through unchanged.

use bytes::Bytes;

use super::charset::Charset;
use super::validate::{self, JsonFault, MAX_DEPTH};
use super::{Event, EventError, Form};

pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The text before a value that is not an object.
const VALUE_PREFIX: &[u8] = br#"{"_json":"#;

/// The event of a body that must be a JSON text (RFC 8259) in UTF-8.
///
/// Everything that the grammar allows passes unchanged, including surrounding white space, numbers
/// of any size, duplicate keys, and escapes of lone surrogates (RFC 8259, 8.2 leaves those to the
/// receiver). A leading byte order mark, which RFC 8259, 8.1 lets a parser ignore, is removed:
/// inside the listener's request body it would be an error.
pub(super) fn event(body: &Bytes) -> Result<Event, EventError> {
    let text = without_byte_order_mark(body);
    check(&text)?;
    Ok(splice(text))
}

/// The event of a body that must be a JSON text in another charset than UTF-8.
pub(super) fn event_in(charset: Charset, body: &[u8]) -> Result<Event, EventError> {
    let text = charset.decode(body).ok_or(EventError::WrongCharset)?.into_owned();
    Ok(Event { form: Form::Converted, ..event(&text.into())? })
}

/// The event of a text in UTF-8 that is one JSON object, as a part of a body or under another
/// content type.
pub(super) fn object(text: &[u8]) -> Option<Event> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let is_candidate = text.trim_ascii_start().starts_with(b"{");
    let event = is_candidate.then(|| event(&Bytes::copy_from_slice(text)))?.ok()?;
    Some(Event { form: Form::Converted, ..event })
}

/// The event of a body that is one JSON object, whatever its content type says.
pub(super) fn whole_object(charset: Charset, body: &Bytes) -> Option<Event> {
    if !charset.is_utf_8() {
        return object(charset.decode(body)?.as_bytes());
    }
    let text = without_byte_order_mark(body);
    let is_candidate = text.trim_ascii_start().starts_with(b"{");
    is_candidate.then(|| event(body).ok()).flatten()
}

/// The event of a body that [`event`] has already accepted.
pub(super) fn checked(body: &Bytes) -> Event {
    splice(without_byte_order_mark(body))
}

fn without_byte_order_mark(body: &Bytes) -> Bytes {
    match body.strip_prefix(BYTE_ORDER_MARK) {
        Some(text) => body.slice_ref(text),
        None => body.clone(),
    }
}

/// Wraps values other than objects in an object, as `event` is always an object.
fn splice(text: Bytes) -> Event {
    if text.trim_ascii_start().starts_with(b"{") {
        return Event::whole(text, Form::Json);
    }
    Event { before: VALUE_PREFIX, body: text, after: b"}", form: Form::Json }
}

fn check(text: &[u8]) -> Result<(), EventError> {
    std::str::from_utf8(text).map_err(|error| invalid_at(text, error.valid_up_to()))?;
    validate::check(text).map_err(|fault| match fault {
        JsonFault::Unexpected(at) => invalid_at(text, at),
        JsonFault::TooDeep => EventError::JsonTooDeep { limit: MAX_DEPTH },
    })
}

/// The position of the byte at an offset; of the last byte if the text ends there.
fn invalid_at(text: &[u8], at: usize) -> EventError {
    let before = &text[..at];
    let last_line = before.rsplit(|&byte| byte == b'\n').next();
    EventError::InvalidJson {
        line: 1 + before.iter().filter(|&&byte| byte == b'\n').count(),
        column: last_line.map_or(0, <[u8]>::len) + usize::from(at < text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_spliced_as_the_very_same_bytes() {
        for body in [
            &b"{}"[..],
            b" \r\n\t{\"a\" : 1 } \n",
            br#"{"n":123456789012345678901234567890.10e+9999,"m":-0.0}"#,
            br#"{"a":1,"a":2,"":null}"#,
            br#"{"lone":"\ud800","nul":"\u0000"}"#,
            "{\"é\":\"日本 😀 \u{2028}\"}".as_bytes(),
        ] {
            let body = Bytes::from_static(body);
            let event = event(&body).unwrap();
            assert_eq!((event.before, event.after), (&b""[..], &b""[..]));
            assert_eq!(event.body, body);
            assert_eq!(event.body.as_ptr(), body.as_ptr());
        }
    }

    #[test]
    fn another_value_is_spliced_under_a_name() {
        for body in ["[1,2]", "\"text\"", "1e999", "true", "null", " [ ] "] {
            let event = event(&Bytes::from_static(body.as_bytes())).unwrap();
            assert_eq!(event.to_vec(), format!("{{\"_json\":{body}}}").as_bytes());
            assert_eq!(event.body.as_ptr(), body.as_ptr());
        }
    }

    #[test]
    fn malformed_json_is_reported_by_its_position_only() {
        for (body, line, column) in [
            (&b" "[..], 1, 1),
            (b"{\"a\":1", 1, 6),
            (b"{\"a\":\n 1,}", 2, 4),
            (b"{} {}", 1, 4),
            (b"{}\0", 1, 3),
            (b"[01]", 1, 3),
            (b"{'a':1}", 1, 2),
            (b"[NaN]", 1, 2),
            (b"\"\x01\"", 1, 2),
            (b"\"\\x\"", 1, 3),
            (b"\xff", 1, 1),
            (b"{\n\"a\":\"\xc3\x28\"}", 2, 6),
            (b"\"\xed\xa0\x80\"", 1, 2),
        ] {
            let error = event(&Bytes::from_static(body)).unwrap_err();
            assert_eq!(error, EventError::InvalidJson { line, column }, "{body:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_in_front_is_left_out() {
        let body = Bytes::from_static(b"\xef\xbb\xbf{\"a\":1}");
        let event = event(&body).unwrap();
        assert_eq!(event.to_vec(), b"{\"a\":1}");
        assert_eq!(event.body.as_ptr(), body[3..].as_ptr());
    }

    #[test]
    fn a_byte_order_mark_is_no_json_by_itself_nor_elsewhere() {
        for body in [
            &b"\xef\xbb\xbf"[..],
            b"\xef\xbb\xbf\xef\xbb\xbf{}",
            b"{}\xef\xbb\xbf",
            b"\xff\xfe{\0}\0",
        ] {
            assert!(event(&Bytes::from_static(body)).is_err());
        }
    }

    #[test]
    fn eight_megabytes_of_openings_are_refused_for_their_depth() {
        for opening in ["[", "{\"a\":", "[{\"a\":"] {
            let body = opening.repeat(8_000_000 / opening.len());
            let error = event(&Bytes::from(body)).unwrap_err();
            assert_eq!(error, EventError::JsonTooDeep { limit: MAX_DEPTH });
        }
    }
}
