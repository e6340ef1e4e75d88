//! Reads a trigger that is itself a CloudEvent (CloudEvents 1.0.2, HTTP protocol binding), so that
//! it keeps its own attributes on the way to the listener.
//!
//! In structured mode the body is the CloudEvent, as JSON. In binary mode the body is its data, and
//! its attributes are headers. A batch, another `specversion`, or a CloudEvent without one of the
//! required attributes is no CloudEvent here: it is delivered as data.

use std::borrow::Cow;
use std::fmt;

use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Event;
use super::media_type::essence;

/// The prefix of headers with attributes (HTTP protocol binding, section 3.1.3.1).
pub const HEADER_PREFIX: &str = "ce-";

/// The media type of a CloudEvent in structured mode.
pub const MEDIA_TYPE: &str = "application/cloudevents+json";

/// The attributes that every CloudEvent has beside `specversion`; none is empty.
const REQUIRED: [&str; 3] = ["id", "source", "type"];

/// Names that are no attributes in headers: in binary mode, data is the body, and the type of the
/// data is its `Content-Type`.
const NOT_IN_HEADERS: [&str; 3] = ["data", "datacontenttype", "data_base64"];

/// A CloudEvent as its sender made it.
#[derive(Debug)]
pub enum CloudEvent<'a> {
    /// The members of the JSON object, in their order, with `data`.
    Structured(Vec<Member<'a>>),
    /// The attributes of the headers, without `data`.
    Binary(Vec<Attribute<'a>>),
}

/// A member of a JSON object.
#[derive(Debug)]
pub struct Member<'a> {
    /// Its name.
    pub name: String,
    /// Its value, as JSON text.
    pub value: &'a RawValue,
}

/// An attribute from a header.
#[derive(Debug)]
pub struct Attribute<'a> {
    /// Its name: lower-case letters and digits.
    pub name: &'a str,
    /// Its decoded value.
    pub value: String,
}

/// The CloudEvent in a trigger; `None` if the trigger is not a valid one.
pub fn read<'a>(
    content_type: Option<&[u8]>,
    headers: &'a HeaderMap,
    event: &'a Event,
) -> Option<CloudEvent<'a>> {
    if content_type.is_some_and(is_structured) { structured(event) } else { binary(headers) }
}

fn is_structured(content_type: &[u8]) -> bool {
    essence(content_type).eq_ignore_ascii_case(MEDIA_TYPE.as_bytes())
}

fn structured(event: &Event) -> Option<CloudEvent<'_>> {
    // Anything else is not a JSON object, such as a batch.
    let is_object = event.before.is_empty();
    let Members(members) = serde_json::from_slice(&event.body).ok().filter(|_| is_object)?;
    let attribute = |name| {
        let member = members.iter().find(|member| member.name == name)?;
        serde_json::from_str::<Cow<'_, str>>(member.value.get()).ok()
    };
    is_valid(attribute).then_some(CloudEvent::Structured(members))
}

fn binary(headers: &HeaderMap) -> Option<CloudEvent<'_>> {
    let attributes: Vec<_> = headers
        .keys()
        .filter_map(|header| {
            let name = header.as_str().strip_prefix(HEADER_PREFIX).filter(|name| is_name(name))?;
            Some(Attribute { name, value: decode(headers.get(header)?)? })
        })
        .collect();
    let attribute = |name| {
        let attribute = attributes.iter().find(|attribute| attribute.name == name)?;
        Some(Cow::Borrowed(&*attribute.value))
    };
    is_valid(attribute).then_some(CloudEvent::Binary(attributes))
}

fn is_valid<'a>(attribute: impl Fn(&'static str) -> Option<Cow<'a, str>>) -> bool {
    attribute("specversion").is_some_and(|version| version == "1.0")
        && REQUIRED.iter().all(|name| attribute(name).is_some_and(|value| !value.is_empty()))
}

/// Attribute names are lower-case letters and digits (CloudEvents, section 3.1).
fn is_name(name: &str) -> bool {
    let is_valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !name.is_empty() && name.bytes().all(is_valid) && !NOT_IN_HEADERS.contains(&name)
}

/// Decodes a header value: an optional quoted string, then percent-encoding (HTTP protocol binding,
/// section 3.1.3.2). `None` if it is not UTF-8.
fn decode(value: &HeaderValue) -> Option<String> {
    let text = unquoted(value.as_bytes());
    percent_decode(&text).decode_utf8().ok().map(Cow::into_owned)
}

/// The text of a quoted string (RFC 9110, section 5.6.4), or the value itself.
fn unquoted(value: &[u8]) -> Cow<'_, [u8]> {
    let Some(inner) = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) else {
        return Cow::Borrowed(value);
    };
    let mut text = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        let is_escape = byte == b'\\';
        text.push(if is_escape { bytes.next().copied().unwrap_or(byte) } else { byte });
    }
    Cow::Owned(text)
}

/// The members of a JSON object, including repeated names.
struct Members<'a>(Vec<Member<'a>>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry()? {
                    members.push(Member { name, value });
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::from_body;
    use bytes::Bytes;

    const STRUCTURED: Option<&[u8]> = Some(b"Application/CloudEvents+JSON; charset=utf-8");

    fn members(body: &'static str) -> Option<Vec<(String, String)>> {
        let event = from_body(STRUCTURED, Bytes::from(body)).unwrap();
        let headers = HeaderMap::new();
        let CloudEvent::Structured(members) = read(STRUCTURED, &headers, &event)? else {
            panic!("structured mode")
        };
        let text = |member: &Member<'_>| (member.name.clone(), member.value.get().to_owned());
        Some(members.iter().map(text).collect())
    }

    fn attributes(headers: &[(&'static str, &[u8])]) -> Option<Vec<(String, String)>> {
        let event = from_body(None, Bytes::from("1")).unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        let CloudEvent::Binary(attributes) = read(Some(b"application/json"), &map, &event)? else {
            panic!("binary mode")
        };
        let text = |attribute: &Attribute<'_>| (attribute.name.to_owned(), attribute.value.clone());
        let mut all: Vec<_> = attributes.iter().map(text).collect();
        all.sort();
        Some(all)
    }

    #[test]
    fn a_structured_event_is_its_members_in_order_with_repetitions() {
        let body = r#"{"specversion":"1.0","id":"1","source":"/a","type":"t","x":1, "x":[2], "data":{"n":1e999}}"#;
        let members = members(body).unwrap();
        let expected = [
            ("specversion", "\"1.0\""),
            ("id", "\"1\""),
            ("source", "\"/a\""),
            ("type", "\"t\""),
            ("x", "1"),
            ("x", "[2]"),
            ("data", r#"{"n":1e999}"#),
        ];
        assert_eq!(members, expected.map(|(name, value)| (name.into(), value.into())));
    }

    #[test]
    fn json_that_is_no_cloud_event_is_not_taken_for_one() {
        for body in [
            "",
            "[]",
            r#"[{"specversion":"1.0","id":"1","source":"/a","type":"t"}]"#,
            r#"{"specversion":"0.3","id":"1","source":"/a","type":"t"}"#,
            r#"{"specversion":"1.0","id":"","source":"/a","type":"t"}"#,
            r#"{"specversion":"1.0","id":1,"source":"/a","type":"t"}"#,
            r#"{"specversion":"1.0","id":"1","source":"/a"}"#,
        ] {
            assert_eq!(members(body), None, "{body}");
        }
    }

    #[test]
    fn binary_attributes_are_decoded_headers() {
        let found = attributes(&[
            ("ce-specversion", b"1.0"),
            ("ce-id", b"1"),
            ("ce-source", b"/a%20b%E2%82%AC"),
            ("ce-type", b"\"quo\\\"ted\""),
            ("ce-extension1", b"100%"),
            ("ce-data", b"no"),
            ("ce-data_base64", b"no"),
            ("ce-datacontenttype", b"no"),
            ("ce-", b"no"),
            ("ce-not-a-name", b"no"),
            ("ce-bytes", b"\xff"),
        ]);
        let expected = [
            ("extension1", "100%"),
            ("id", "1"),
            ("source", "/a b\u{20ac}"),
            ("specversion", "1.0"),
            ("type", "quo\"ted"),
        ];
        assert_eq!(found.unwrap(), expected.map(|(name, value)| (name.into(), value.into())));
    }

    #[test]
    fn headers_without_a_required_attribute_are_no_cloud_event() {
        let all: [(&'static str, &[u8]); 4] =
            [("ce-specversion", b"1.0"), ("ce-id", b"1"), ("ce-source", b"/a"), ("ce-type", b"t")];
        assert!(attributes(&all).is_some());
        for missing in 0..all.len() {
            let rest: Vec<_> =
                (0..all.len()).filter(|at| *at != missing).map(|at| all[at]).collect();
            assert_eq!(attributes(&rest), None, "{missing}");
        }
    }
}
