//! Any body under any content type becomes one JSON object or an error, and never a panic.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use webhook_operator::event::from_body;

/// The first byte of an input selects one, so that seeds are easy to write: `0` none, `1` JSON, ...
const CONTENT_TYPES: [Option<&[u8]>; 6] = [
    None,
    Some(b"application/json"),
    Some(b"application/x-www-form-urlencoded"),
    Some(b"multipart/form-data; boundary=x"),
    Some(b"text/plain"),
    Some(b"application/cloudevents+json; charset=utf-8"),
];

fuzz_target!(|input: &[u8]| {
    let Some((selector, body)) = input.split_first() else {
        return;
    };
    let content_type =
        CONTENT_TYPES[usize::from(selector.wrapping_sub(b'0')) % CONTENT_TYPES.len()];
    let Ok(event) = from_body(content_type, Bytes::copy_from_slice(body)) else {
        assert!(content_type.is_some(), "without a content type nothing is refused");
        return;
    };
    let text = event.to_vec();
    assert_eq!(text.len(), event.len());
    assert_eq!(text.trim_ascii_start().first(), Some(&b'{'));
    let text = std::str::from_utf8(&text).expect("an event is UTF-8");
    serde_json::from_str::<IgnoredAny>(text).expect("an event is JSON");
});
