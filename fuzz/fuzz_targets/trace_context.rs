//! Any `traceparent` and `tracestate` are taken or dropped; what is taken is passed on in the one form that is valid.
#![no_main]

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use webhook_operator::traces::TraceContext;

/// The first line of an input is `traceparent`, each further one a `tracestate`.
fn headers(input: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (number, line) in input.split(|byte| *byte == b'\n').enumerate() {
        let name = if number == 0 { "traceparent" } else { "tracestate" };
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(name, value);
        }
    }
    headers
}

fuzz_target!(|input: &[u8]| {
    let Some(context) = TraceContext::of(&headers(input)) else { return };
    let mut passed = HeaderMap::new();
    context.put_in(&mut passed);
    assert_eq!(passed["traceparent"].len(), 55);
    assert_eq!(TraceContext::of(&passed).as_ref(), Some(&context));
    if let Some(state) = passed.get("tracestate") {
        assert!(state.len() <= 512);
        assert!(
            !context.state().header().is_empty()
                || state.as_bytes().iter().all(|b| b", \t".contains(b))
        );
    }
    assert_eq!(context.next().ids().0, context.ids().0);
});
