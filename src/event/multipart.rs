//! Bodies of type `multipart/form-data` (RFC 7578).

use std::borrow::Cow;
use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use multer::{Field, Multipart};

use super::charset::Charset;
use super::fields::FormFields;
use super::text::base64;
use super::{Event, EventError};

/// The number of parts that a body may have.
pub const MAX_PARTS: usize = 1_000;

/// Parses a form to an object of strings, one per part, including files.
///
/// A part becomes text if it is UTF-8, or text of the charset that its content type names, and base64
/// otherwise, independent of its file name and media type. A listener that must distinguish the two,
/// or needs the file names, uses the envelope `Raw`, which passes the body unchanged.
pub(super) fn event(content_type: &[u8], body: Bytes) -> Result<Event, EventError> {
    let boundary = boundary(content_type)?;
    // The whole body is in memory, so the parser never waits and one poll is enough.
    read(body, boundary).now_or_never().unwrap_or(Err(EventError::MalformedMultipart("incomplete")))
}

/// The boundary parameter, which RFC 7578, 4.1 requires. An empty one would match anywhere.
fn boundary(content_type: &[u8]) -> Result<String, EventError> {
    std::str::from_utf8(content_type)
        .ok()
        .and_then(|content_type| multer::parse_boundary(content_type).ok())
        .filter(|boundary| !boundary.is_empty())
        .ok_or(EventError::MalformedMultipart("no boundary in its content type"))
}

async fn read(body: Bytes, boundary: String) -> Result<Event, EventError> {
    let stream = stream::iter([Ok::<_, Infallible>(body)]);
    let mut multipart = Multipart::new(stream, boundary);
    let mut fields = FormFields::default();
    let mut seen = 0;
    while let Some(part) = multipart.next_field().await.map_err(malformed)? {
        if seen == MAX_PARTS {
            return Err(EventError::TooManyFields { limit: MAX_PARTS });
        }
        seen += 1;
        let (name, value) = name_and_value(part).await?;
        fields.push(name.into(), value.into());
    }
    Ok(fields.into_event())
}

/// Reads a part. RFC 7578, 4.2 requires a name.
async fn name_and_value(part: Field<'_>) -> Result<(String, String), EventError> {
    let name =
        part.name().ok_or(EventError::MalformedMultipart("a part without a name"))?.to_owned();
    let charset = part.content_type().and_then(|content_type| content_type.get_param("charset"));
    let charset = charset.map_or(Charset::UTF_8, |name| Charset::named(name.as_str().as_bytes()));
    let content = part.bytes().await.map_err(malformed)?;
    let text = charset.decode(&content).map(Cow::into_owned);
    Ok((name, text.unwrap_or_else(|| base64(&content))))
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
        let event = event(b"multipart/form-data; boundary=x", body.into())?;
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
    fn a_file_gives_its_text_or_its_base64_under_its_name() {
        let body = form(&[
            ("name=t; filename=\"t.csv\"", b"a;b"),
            ("name=b; filename=\"b.bin\"", b"\xff"),
            ("name=l", b"caf\xe9"),
        ]);
        let json = r#"{"t":"a;b","b":"/w==","l":"Y2Fm6Q=="}"#;
        assert_eq!(event_of(body).unwrap(), json);
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
            let error = event(content_type, form(&[]).into()).unwrap_err();
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
