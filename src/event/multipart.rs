//! Bodies of type `multipart/form-data` (RFC 7578).

use std::borrow::Cow;
use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use http::header::CONTENT_TYPE;
use multer::{Field, Multipart};

use super::charset::Charset;
use super::fields::{FieldValue, File, FormFields};
use super::media_type::MediaType;
use super::rule::FormField;
use super::text::base64;
use super::{Event, EventError};

/// The number of parts that a body may have.
pub const MAX_PARTS: usize = 1_000;

/// The content type of a file that has none (RFC 7578, 4.4, leaves it to the receiver).
const DEFAULT_FILE_TYPE: &str = "application/octet-stream";

/// The field with the charset of the parts after it that name none (RFC 7578, 4.6).
const CHARSET_FIELD: &str = "_charset_";

/// Parses a form to an object with one member per name.
///
/// The shape of a part depends on its headers only: one with a file name or of a binary type is an
/// object with its type and its bytes in base64, any other one a string. The string is the text in
/// the part's charset: that of its content type, else of the field `_charset_`, else of the form's
/// content type, else UTF-8. If the part is no text in this charset, the string is base64 of its
/// bytes.
///
/// # Errors
/// The form is malformed or has too many parts, or no JSON object in a field that is required.
pub(super) fn event(
    content_type: &[u8],
    body: Bytes,
    field: Option<&FormField>,
) -> Result<Event, EventError> {
    let boundary = boundary(content_type)?;
    let charset = Charset::of(content_type);
    // The whole body is in memory, so the parser never waits and one poll is enough.
    read(body, boundary, charset, field)
        .now_or_never()
        .unwrap_or(Err(EventError::MalformedMultipart("incomplete")))
}

/// The boundary parameter, which RFC 7578, 4.1 requires. An empty one would match anywhere.
fn boundary(content_type: &[u8]) -> Result<String, EventError> {
    std::str::from_utf8(content_type)
        .ok()
        .and_then(|content_type| multer::parse_boundary(content_type).ok())
        .filter(|boundary| !boundary.is_empty())
        .ok_or(EventError::MalformedMultipart("no boundary in its content type"))
}

async fn read(
    body: Bytes,
    boundary: String,
    mut charset: Charset,
    field: Option<&FormField>,
) -> Result<Event, EventError> {
    let stream = stream::iter([Ok::<_, Infallible>(body)]);
    let mut multipart = Multipart::new(stream, boundary);
    let mut fields = FormFields::default();
    let mut seen = 0;
    while let Some(part) = multipart.next_field().await.map_err(malformed)? {
        if seen == MAX_PARTS {
            return Err(EventError::TooManyFields { limit: MAX_PARTS });
        }
        seen += 1;
        let (name, value) = name_and_value(part, charset, field).await?;
        if let (CHARSET_FIELD, FieldValue::Text(label)) = (&*name, &value) {
            charset = Charset::named(label.as_bytes());
        }
        fields.push(name.into(), value);
    }
    fields.into_event(field)
}

/// Reads a part. RFC 7578, 4.2 requires a name. The part with the event is text, also if it is a
/// file.
async fn name_and_value(
    part: Field<'_>,
    charset: Charset,
    field: Option<&FormField>,
) -> Result<(String, FieldValue<'static>), EventError> {
    let name =
        part.name().ok_or(EventError::MalformedMultipart("a part without a name"))?.to_owned();
    let file_name = part.file_name().map(str::to_owned);
    let content_type = part.headers().get(CONTENT_TYPE).cloned();
    let content_type =
        content_type.as_ref().and_then(|value| str::from_utf8(value.as_bytes()).ok());
    let content = part.bytes().await.map_err(malformed)?;
    let has_event = field.is_some_and(|field| field.name == name);
    let type_bytes = content_type.map(str::as_bytes);
    let is_binary = type_bytes.map(MediaType::of) == Some(MediaType::Binary);
    if !has_event && (file_name.is_some() || is_binary) {
        let type_ = content_type.unwrap_or(DEFAULT_FILE_TYPE).to_owned();
        let file = File { name: file_name, type_, data: base64(&content) };
        return Ok((name, FieldValue::File(file)));
    }
    let charset = type_bytes.and_then(Charset::named_by).unwrap_or(charset);
    let text = charset.decode(&content).map(Cow::into_owned);
    Ok((name, FieldValue::Text(text.unwrap_or_else(|| base64(&content)).into())))
}

/// Maps the parser's errors to fixed texts: its own messages quote the sender's names and headers.
fn malformed(error: multer::Error) -> EventError {
    EventError::MalformedMultipart(match error {
        multer::Error::IncompleteFieldData { .. } => "a part without an end",
        multer::Error::IncompleteHeaders
        | multer::Error::ReadHeaderFailed(_)
        | multer::Error::DecodeHeaderName { .. }
        | multer::Error::DecodeHeaderValue { .. } => "the headers of a part",
        _ => "incomplete",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event_of(body: impl Into<Bytes>) -> Result<String, EventError> {
        let event = event(b"multipart/form-data; boundary=x", body.into(), None)?;
        Ok(String::from_utf8(event.to_vec()).unwrap())
    }

    fn part(disposition: &str, content: &[u8]) -> Vec<u8> {
        let head = format!("--x\r\nContent-Disposition: form-data; {disposition}\r\n\r\n");
        [head.as_bytes(), content, b"\r\n"].concat()
    }

    fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut body: Vec<u8> =
            parts.iter().flat_map(|(disposition, content)| part(disposition, content)).collect();
        body.extend_from_slice(b"--x--\r\n");
        body
    }

    #[test]
    fn a_form_is_a_map_of_strings() {
        for (parts, json) in [
            (&[][..], "{}"),
            (&[("name=\"a\"", &b"1"[..])], r#"{"a":"1"}"#),
            (
                &[("name=z", b"1"), ("name=a", b""), ("name=z", b"\"\r\n--")],
                r#"{"z":["1","\"\r\n--"],"a":""}"#,
            ),
            (&[("name=\"é \\\"q\\\"\"", "日本".as_bytes())], r#"{"é \"q\"":"日本"}"#),
            (&[("name=\"\"", b"1")], r#"{"":"1"}"#),
        ] {
            assert_eq!(event_of(form(parts)).unwrap(), json);
        }
    }

    #[test]
    fn a_file_is_an_object_whatever_its_bytes_are() {
        let typed = "name=p; filename=\"a b.pdf\"\r\nContent-Type: application/pdf";
        for (disposition, content, json) in [
            (
                "name=t; filename=\"t.csv\"",
                &b"a;b"[..],
                r#"{"t":{"name":"t.csv","type":"application/octet-stream","data":"YTti"}}"#,
            ),
            (typed, b"a", r#"{"p":{"name":"a b.pdf","type":"application/pdf","data":"YQ=="}}"#),
            (typed, b"\xff", r#"{"p":{"name":"a b.pdf","type":"application/pdf","data":"/w=="}}"#),
            (typed, b"", r#"{"p":{"name":"a b.pdf","type":"application/pdf","data":""}}"#),
            (
                "name=f; filename=\"\"\r\nContent-Type: text/plain; charset=utf-8",
                b"",
                r#"{"f":{"name":"","type":"text/plain; charset=utf-8","data":""}}"#,
            ),
            (
                "name=i\r\nContent-Type: image/png",
                b"a",
                r#"{"i":{"type":"image/png","data":"YQ=="}}"#,
            ),
            ("name=j\r\nContent-Type: application/json", b"{}", r#"{"j":"{}"}"#),
        ] {
            assert_eq!(event_of(form(&[(disposition, content)])).unwrap(), json);
        }
    }

    #[test]
    fn a_text_is_of_the_charset_that_is_nearest() {
        let latin = "name=l\r\nContent-Type: text/plain; charset=ISO-8859-1";
        for (parts, json) in [
            (&[(latin, &b"caf\xe9"[..])][..], r#"{"l":"café"}"#),
            (&[("name=l", b"caf\xe9")], r#"{"l":"Y2Fm6Q=="}"#),
            (
                &[("name=_charset_", b"windows-1252"), ("name=l", b"caf\xe9")],
                r#"{"_charset_":"windows-1252","l":"café"}"#,
            ),
            (
                &[("name=_charset_", b"utf-16le"), (latin, b"caf\xe9")],
                r#"{"_charset_":"utf-16le","l":"café"}"#,
            ),
        ] {
            assert_eq!(event_of(form(parts)).unwrap(), json);
        }
        let content_type = b"multipart/form-data; boundary=x; charset=ISO-8859-1";
        let of_form = event(content_type, form(&[("name=l", b"\xe9")]).into(), None).unwrap();
        assert_eq!(of_form.to_vec(), r#"{"l":"é"}"#.as_bytes());
    }

    #[test]
    fn the_part_with_the_event_may_be_a_file() {
        let field = FormField { name: "payload".into(), is_required: true };
        for disposition in ["name=payload", "name=payload; filename=\"p.json\""] {
            let body = form(&[("name=a", b"1"), (disposition, b"{\"n\": 1.0}")]);
            let content_type = b"multipart/form-data; boundary=x";
            let event = event(content_type, body.into(), Some(&field)).unwrap();
            assert_eq!(event.to_vec(), b"{\"n\": 1.0}");
        }
    }

    #[test]
    fn preamble_epilogue_and_padding_are_no_fields() {
        let body = "preamble\r\n--x \t\r\nContent-Disposition: form-data; name=a\r\n\
                    Content-Type: text/plain\r\n\r\n1\r\n--x--epilogue";
        assert_eq!(event_of(body).unwrap(), r#"{"a":"1"}"#);
    }

    #[test]
    fn malformed_bodies_are_reported_by_the_kind_of_error_only() {
        for (body, kind) in [
            ("secret", "incomplete"),
            ("--x", "incomplete"),
            ("--x\r\n", "incomplete"),
            ("--x\r\nContent-Disposition: form-data; name=secret\r\n", "incomplete"),
            (
                "--x\r\nContent-Disposition: form-data; name=secret\r\n\r\n1",
                "a part without an end",
            ),
            ("--x\r\nsecret\r\n\r\n1\r\n--x--", "the headers of a part"),
            ("--x\r\nsecret: 1\r\n\r\n1\r\n--x--", "a part without a name"),
            ("--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--xy", "incomplete"),
        ] {
            assert_eq!(event_of(body), Err(EventError::MalformedMultipart(kind)), "{body}");
        }
    }

    #[test]
    fn a_content_type_without_a_boundary_is_malformed() {
        for content_type in [
            &b"multipart/form-data"[..],
            b"multipart/form-data; boundary=",
            b"multipart/form-data; boundary=\"\"",
            b"multipart/form-data; charset=utf-8",
            b"multipart/form-data; boundary=\xff",
        ] {
            let error = event(content_type, form(&[]).into(), None).unwrap_err();
            let kind = "no boundary in its content type";
            assert_eq!(error, EventError::MalformedMultipart(kind));
        }
    }

    #[test]
    fn the_limit_of_parts_is_allowed_and_one_more_is_not() {
        let part = ("name=a", &b""[..]);
        assert!(event_of(form(&[part; MAX_PARTS])).is_ok());
        assert_eq!(
            event_of(form(&[part; MAX_PARTS + 1])),
            Err(EventError::TooManyFields { limit: MAX_PARTS })
        );
    }
}
