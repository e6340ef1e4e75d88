//! Bodies that are neither form nor JSON, as text or base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::Event;
use super::charset::Charset;
use super::fields::json_text;

/// `{"_text": "..."}` for valid UTF-8, else `{"_base64": "..."}` (RFC 4648, 4, with padding).
/// Nothing is lost: other bytes become base64.
pub(super) fn event(body: Bytes) -> Event {
    match std::str::from_utf8(&body) {
        Ok(text) if needs_escape(text) => escaped(text),
        Ok(_) => Event::converted(br#"{"_text":""#, body, br#""}"#),
        Err(_) => binary(&body),
    }
}

/// The same for a text in any charset, which is converted if nothing is lost.
pub(super) fn event_in(charset: Charset, body: Bytes) -> Event {
    if charset.is_utf_8() {
        return event(body);
    }
    let text = charset.decode(&body).map(|text| text.into_owned());
    event(text.map_or(body, Bytes::from))
}

/// Bytes of a binary type: base64, whatever they are.
pub(super) fn binary(body: &[u8]) -> Event {
    Event::converted(br#"{"_base64":""#, base64(body), br#""}"#)
}

pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn escaped(text: &str) -> Event {
    Event::converted(br#"{"_text":"#, json_text(text), b"}")
}

/// Whether the text has characters that RFC 8259, 7 requires to be escaped.
fn needs_escape(text: &str) -> bool {
    text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_binary_is_base64() {
        for (body, json) in [
            (&b"hello"[..], &br#"{"_text":"hello"}"#[..]),
            (b"say \"hi\"\\\n", br#"{"_text":"say \"hi\"\\\n"}"#),
            (b"<a>\t\x01\x7f</a>", b"{\"_text\":\"<a>\\t\\u0001\x7f</a>\"}"),
            ("日本 é 😀\u{feff}".as_bytes(), "{\"_text\":\"日本 é 😀\u{feff}\"}".as_bytes()),
            (b"\xff", br#"{"_base64":"/w=="}"#),
            (b"caf\xe9", br#"{"_base64":"Y2Fm6Q=="}"#),
            (b"\x89PNG\r\n\x1a\n", br#"{"_base64":"iVBORw0KGgo="}"#),
        ] {
            assert_eq!(event(Bytes::from_static(body)).to_vec(), json);
        }
    }

    #[test]
    fn text_that_needs_no_escape_is_not_copied() {
        let body = Bytes::from_static("naïve text".as_bytes());
        assert_eq!(event(body.clone()).body.as_ptr(), body.as_ptr());
    }

    #[test]
    fn control_characters_grow_by_six_and_no_more() {
        let event = event(Bytes::from(vec![1; 1000]));
        assert_eq!(event.len(), 6 * 1000 + r#"{"_text":""}"#.len());
    }
}
