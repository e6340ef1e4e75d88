//! Any expression over any event: it does not compile, or has a value or an error, in bounded time, and never
//! panics.
#![no_main]

use std::time::{Duration, Instant};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use webhook_operator::event::from_body;
use webhook_operator::expression::{EvaluationError, Expression, Inputs};

/// An input is an expression, a zero byte, and the body of a trigger.
fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|byte| *byte == 0).unwrap_or(input.len());
    let Ok(source) = std::str::from_utf8(&input[..end]) else { return };
    let body = input.get(end + 1..).unwrap_or_default();
    let Ok(event) = from_body(Some(b"application/json"), Bytes::copy_from_slice(body)) else {
        return;
    };
    let event = event.text();
    let inputs = Inputs {
        event: &event,
        headers: b"{\"a\":\"b\"}",
        props: b"null",
        query: b"{\"q\":[\"1\",\"2\"]}",
        now: jiff::Timestamp::UNIX_EPOCH,
    };

    let itself = Expression::compile("event == event").expect("an expression").holds(inputs);
    assert_ne!(itself, Ok(false), "an event is what it is");
    match Expression::compile(source) {
        Ok(expression) => {
            let began = Instant::now();
            let holds = |expression: &Expression| {
                expression.holds(inputs).map_err(|failure| failure.error)
            };
            let once = holds(&expression);
            // Instrumented code takes many times the 0.1 s of the budget. `run.sh` limits the memory.
            assert!(began.elapsed() < Duration::from_secs(5), "the budget bounds the time");
            assert_eq!(holds(&expression), once);
            // The text of an object is JSON, and as long as it was said to be.
            if let Ok(object) = expression.object(inputs, 1 << 20) {
                let text = object.to_vec();
                assert_eq!(text.len(), object.len());
                assert!(from_body(Some(b"application/json"), text.into()).is_ok());
            }
            // However it is written: in brackets it is the same.
            if let Ok(bracketed) = Expression::compile(&format!("true && (\n{source}\n)")) {
                let is_same = holds(&bracketed) == once;
                assert!(is_same || once == Err(EvaluationError::NotBool));
            }
        }
        Err(error) => {
            let place = error.position;
            let lines: Vec<_> = source.split('\n').collect();
            assert!((1..=lines.len()).contains(&place.line), "{error}");
            assert!(place.column <= lines[place.line - 1].chars().count() + 1, "{error}");
        }
    }
});
