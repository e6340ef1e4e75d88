//! Any body under any content type becomes one JSON object or an error, and never a panic.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use webhook_operator::event::{BodyRule, Event, EventError, convert, from_body};

/// The first byte of an input selects one, so that seeds are easy to write: `0` none, `1` JSON, ...
const CONTENT_TYPES: [Option<&[u8]>; 9] = [
    None,
    Some(b"application/json"),
    Some(b"application/x-www-form-urlencoded"),
    Some(b"multipart/form-data; boundary=x"),
    Some(b"text/plain"),
    Some(b"application/cloudevents+json; charset=utf-8"),
    Some(b"application/octet-stream"),
    Some(b"multipart/form-data; boundary=x; charset=shift_jis"),
    Some(b"application/x-www-form-urlencoded; charset=utf-16le"),
];

fuzz_target!(|input: &[u8]| {
    let Some((selector, body)) = input.split_first() else {
        return;
    };
    let content_type =
        CONTENT_TYPES[usize::from(selector.wrapping_sub(b'0')) % CONTENT_TYPES.len()];
    let event = from_body(content_type, Bytes::copy_from_slice(body));
    if content_type.is_some_and(|value| value.windows(4).any(|part| part == b"json")) {
        assert_judged_as_serde_json_does(body, &event);
    }
    for rule in [BodyRule::Json, BodyRule::Text, BodyRule::Binary, BodyRule::of_provider("a")] {
        if let Ok(event) = convert(&rule, content_type, Bytes::copy_from_slice(body)) {
            assert_is_one_object(&event);
        }
    }
    match event {
        Ok(event) => assert_is_one_object(&event),
        Err(_) => assert!(content_type.is_some(), "without a content type nothing is refused"),
    }
});

fn assert_is_one_object(event: &Event) {
    let text = event.to_vec();
    assert_eq!(text.len(), event.len());
    assert_eq!(text.trim_ascii_start().first(), Some(&b'{'));
    let text = std::str::from_utf8(&text).expect("an event is UTF-8");
    serde_json::from_str::<IgnoredAny>(text).expect("an event is JSON");
}

/// The product checks JSON by a validator of its own.
fn assert_judged_as_serde_json_does(body: &[u8], event: &Result<Event, EventError>) {
    if body.is_empty() || matches!(event, Err(EventError::JsonTooDeep { .. })) {
        return;
    }
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let is_json = std::str::from_utf8(text)
        .is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    assert_eq!(event.is_ok(), is_json);
}
