//! Whatever a sender puts into a CloudEvent, in headers or in the body, has the required attributes
//! or is not taken for one, and never panics.
#![no_main]

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use webhook_operator::event::cloud_event::{CloudEvent, MEDIA_TYPE, read};
use webhook_operator::event::from_body;

/// The input is lines of `name: value`, an empty line and the body.
fuzz_target!(|input: &[u8]| {
    let end = input.windows(2).position(|two| two == b"\n\n").unwrap_or(input.len());
    let (head, body) = input.split_at(end);
    let mut headers = HeaderMap::new();
    for line in head.split(|&byte| byte == b'\n').take(64) {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    let body = Bytes::copy_from_slice(body.trim_ascii_start());
    for content_type in [MEDIA_TYPE, "text/plain"].map(str::as_bytes) {
        let Ok(event) = from_body(Some(content_type), body.clone()) else { continue };
        let has = |required: &str| match read(Some(content_type), &headers, &event) {
            Some(CloudEvent::Structured(members)) => {
                members.iter().any(|member| member.name == required)
            }
            Some(CloudEvent::Binary(attributes)) => {
                attributes.iter().any(|own| own.name == required && !own.value.is_empty())
            }
            None => true,
        };
        assert!(["specversion", "id", "source", "type"].into_iter().all(has));
    }
});
