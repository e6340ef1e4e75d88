//! Converts the body of a trigger to the JSON text of `event`.
//!
//! Pure: no client, no socket, no clock. An untrusted body becomes either well-formed JSON or an
//! [`EventError`] that repeats none of it. JSON is validated and then passed through, so numbers,
//! key order, duplicate keys and non-ASCII characters are preserved exactly (RFC 8259 leaves all of
//! these to the receiver).
//!
//! | body | `event` |
//! |---|---|
//! | empty, with any content type | `{}` |
//! | a JSON object | the same bytes |
//! | another JSON value | `{"_json": value}` |
//! | urlencoded or multipart form | an object of strings; repeated names: an array of strings |
//! | a file in a multipart form | `{"name": "...", "type": "...", "data": "<base64>"}` |
//! | any other text | `{"_text": "..."}` |
//! | a binary type, or anything that is not text | `{"_base64": "..."}` |
//!
//! A [`BodyRule`] says otherwise.
//!
//! Text is UTF-8, or of the charset that the content type names; it is then converted.
//!
//! Memory: JSON, and text that needs no escape, take no memory beyond the body. Base64 grows by a
//! third; text of another charset at most threefold; escaped text and form fields at most sixfold
//! (a control character becomes `\u0001`), plus a few bytes for each of a bounded number of fields.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

mod charset;
pub mod cloud_event;
mod fields;
mod form;
mod json;
mod media_type;
mod multipart;
#[cfg(test)]
mod properties;
mod rule;
mod text;
mod validate;

use charset::Charset;
pub use form::MAX_PAIRS;
pub use multipart::MAX_PARTS;
pub use rule::{BodyRule, FormField};
pub use validate::MAX_DEPTH;

pub(crate) use media_type::MediaType;

/// The JSON text of `event`: the three pieces joined are always one JSON object in UTF-8.
///
/// It is kept in pieces so that the sender's bytes are not copied.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    pub before: &'static [u8],
    pub body: Bytes,
    pub after: &'static [u8],
    /// How the sender's body became this event.
    pub form: Form,
}

/// How a body is converted to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The body is JSON, and passed through. Once validated, [`from_checked_json`] converts it
    /// again without another validation.
    Json,
    /// The body is converted according to its content type and its [`BodyRule`].
    Converted,
}

impl Event {
    /// The length of the whole JSON text, in bytes; never zero.
    #[expect(clippy::len_without_is_empty, reason = "an event is a JSON object, so at least `{}`")]
    pub fn len(&self) -> usize {
        self.before.len() + self.body.len() + self.after.len()
    }

    /// Copies the whole JSON text into one vector.
    pub fn to_vec(&self) -> Vec<u8> {
        [self.before, &self.body, self.after].concat()
    }

    /// The whole JSON text; copied only if it has several pieces.
    pub fn text(&self) -> Cow<'_, [u8]> {
        if self.before.is_empty() && self.after.is_empty() {
            Cow::Borrowed(&self.body)
        } else {
            Cow::Owned(self.to_vec())
        }
    }

    /// An event whose text is exactly the body.
    pub fn whole(body: impl Into<Bytes>, form: Form) -> Self {
        Self { before: b"", body: body.into(), after: b"", form }
    }

    /// An event whose body is converted, and stands between two pieces.
    fn converted(before: &'static [u8], body: impl Into<Bytes>, after: &'static [u8]) -> Self {
        Self { before, body: body.into(), after, form: Form::Converted }
    }
}

/// Shows the length only: events are untrusted data and must not be logged.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The reason for rejecting a body. No message repeats anything of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// The body is not JSON. The position of the error: the line from 1, the column in bytes.
    #[error("the body is not valid JSON (line {line}, column {column})")]
    InvalidJson { line: usize, column: usize },
    /// The body is not text in the charset of its content type.
    #[error("the body is not valid in the charset of its content type")]
    WrongCharset,
    /// Rejected even if valid, because many parsers of listeners recurse.
    #[error("the JSON of the body is nested deeper than {limit} levels")]
    JsonTooDeep { limit: usize },
    #[error("the form has more than {limit} fields")]
    TooManyFields { limit: usize },
    /// The body was stored as it was sent, and cannot be decoded.
    #[error("the content coding of the body is not supported, or the body is not valid in it")]
    Coding,
    /// The webhook requires a field with a JSON object.
    #[error("the form field that body.formField of the webhook names {0}")]
    FormField(&'static str),
    #[error("the body is not valid multipart/form-data: {0}")]
    MalformedMultipart(&'static str),
}

/// Converts a body, given the value of its `Content-Type` header, to the JSON text of `event`.
///
/// Without a content type, or with a blank one, the body is JSON if it is valid JSON, and text or
/// base64 otherwise. This never fails and loses nothing.
///
/// # Errors
/// Only if the body violates its content type: invalid JSON, or a form that is malformed or too
/// large.
pub fn from_body(content_type: Option<&[u8]>, body: Bytes) -> Result<Event, EventError> {
    convert(&BodyRule::Auto, content_type, body)
}

/// Converts a body by a rule.
///
/// # Errors
/// The body violates its content type, or the rule.
pub fn convert(
    rule: &BodyRule,
    content_type: Option<&[u8]>,
    body: Bytes,
) -> Result<Event, EventError> {
    if body.is_empty() {
        return Ok(empty());
    }
    let content_type = content_type.filter(|value| !value.trim_ascii().is_empty());
    let charset = content_type.map_or(Charset::UTF_8, Charset::of);
    match rule {
        BodyRule::Json => json_in(charset, &body),
        BodyRule::Text => Ok(text::event_in(charset, body)),
        BodyRule::Binary => Ok(text::binary(&body)),
        BodyRule::Auto | BodyRule::FormField(_) => {
            by_content_type(content_type, charset, rule.form_field(), body)
        }
    }
}

fn by_content_type(
    content_type: Option<&[u8]>,
    charset: Charset,
    field: Option<&FormField>,
    body: Bytes,
) -> Result<Event, EventError> {
    let Some(content_type) = content_type else {
        return Ok(json::event(&body).unwrap_or_else(|_| text::event(body)));
    };
    match MediaType::of(content_type) {
        MediaType::Json => json_in(charset, &body),
        // `curl -d` sends JSON under the type of forms. A form is hardly ever one JSON object.
        MediaType::UrlEncoded => match json::whole_object(charset, &body) {
            Some(event) => Ok(event),
            None => form::event(charset, &body, field),
        },
        MediaType::Multipart => multipart::event(content_type, body, field),
        MediaType::Binary => Ok(text::binary(&body)),
        MediaType::Other => Ok(text::event_in(charset, body)),
    }
}

fn json_in(charset: Charset, body: &Bytes) -> Result<Event, EventError> {
    if charset.is_utf_8() { json::event(body) } else { json::event_in(charset, body) }
}

/// The parameters of a query string, as an object like that of a form.
///
/// # Errors
/// There are more than [`MAX_PAIRS`].
pub fn from_query(query: &str) -> Result<Event, EventError> {
    form::event(Charset::UTF_8, query.as_bytes(), None)
}

/// Converts a body that [`from_body`] has accepted as JSON, without validating it again.
pub fn from_checked_json(body: Bytes) -> Event {
    if body.is_empty() { empty() } else { json::checked(&body) }
}

/// Converts a body whose form is known.
///
/// # Errors
/// As [`convert`], and only if the body is not known to be JSON.
pub fn from_form(
    form: Form,
    rule: &BodyRule,
    content_type: Option<&[u8]>,
    body: Bytes,
) -> Result<Event, EventError> {
    match form {
        Form::Json => Ok(from_checked_json(body)),
        Form::Converted => convert(rule, content_type, body),
    }
}

/// The event of an empty body.
fn empty() -> Event {
    Event::whole("{}", Form::Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_body_is_an_empty_object_whatever_its_content_type() {
        for content_type in [
            None,
            Some(&b""[..]),
            Some(b"application/json"),
            Some(b"application/x-www-form-urlencoded"),
            Some(b"multipart/form-data"),
            Some(b"image/png"),
        ] {
            let event = from_body(content_type, Bytes::new()).unwrap();
            assert_eq!(event.to_vec(), b"{}");
        }
    }

    #[test]
    fn without_a_content_type_a_body_is_json_then_text_then_base64() {
        for (body, event) in [
            (&br#"{"a":1}"#[..], &br#"{"a":1}"#[..]),
            (b"[1,2]", br#"{"_json":[1,2]}"#),
            (b"a=1", br#"{"_text":"a=1"}"#),
            (b" ", br#"{"_text":" "}"#),
            (b"{\"a\":1", br#"{"_text":"{\"a\":1"}"#),
            (b"\xff\xfe", br#"{"_base64":"//4="}"#),
        ] {
            let body = Bytes::from_static(body);
            assert_eq!(from_body(None, body.clone()).unwrap().to_vec(), event);
            assert_eq!(from_body(Some(b" "), body).unwrap().to_vec(), event);
        }
    }

    #[test]
    fn json_that_was_checked_gives_the_same_event() {
        for body in ["", "{}", " {\"a\":1}\n", "\u{feff}{}", "[1]", "\u{feff} 1 ", "\"{\""] {
            let body = Bytes::from_static(body.as_bytes());
            let event = from_body(Some(b"application/json"), body.clone()).unwrap();
            assert_eq!(from_checked_json(body), event);
        }
    }

    #[test]
    fn without_a_content_type_json_that_is_too_deep_is_kept_as_text() {
        let event = from_body(None, Bytes::from(vec![b'['; 5000])).unwrap();
        assert!(event.before.starts_with(br#"{"_text":"#));
    }

    #[test]
    fn the_content_type_decides_how_a_body_is_read() {
        for (content_type, event) in [
            (&b"application/json"[..], &br#"{"_json":1}"#[..]),
            (b"application/x-www-form-urlencoded", br#"{"1":""}"#),
            (b"text/plain", br#"{"_text":"1"}"#),
            (b"\xff", br#"{"_text":"1"}"#),
        ] {
            let body = Bytes::from_static(b"1");
            assert_eq!(from_body(Some(content_type), body).unwrap().to_vec(), event);
        }
    }

    #[test]
    fn len_is_that_of_the_joined_text() {
        let event = from_body(None, Bytes::from_static(b"[1,2]")).unwrap();
        assert_eq!(event.len(), event.to_vec().len());
    }

    #[test]
    fn debug_output_hides_the_body() {
        let event = from_body(None, Bytes::from_static(b"secret")).unwrap();
        assert_eq!(format!("{event:?}"), "Event { len: 18, .. }");
    }
}
