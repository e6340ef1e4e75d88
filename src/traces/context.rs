//! `traceparent` and `tracestate` (W3C Trace Context, level 1): continues the sender's trace or
//! starts a new one.

use std::str::FromStr;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::TraceState;

/// The header with the ids of the trace and of the caller's span.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The header with the data of other tracing systems.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Maximum length of a propagated `tracestate`, in bytes (section 3.3.1.5 requires at least this).
const STATE_BYTES: usize = 512;
/// Maximum number of members of a `tracestate` (section 3.3.1.1).
const STATE_MEMBERS: usize = 32;

/// The flag of a sampled trace.
const SAMPLED: u8 = 1;

/// A span's identity within its trace, as it is propagated between programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    flags: u8,
    state: Option<HeaderValue>,
}

impl TraceContext {
    /// Parses the headers; `None` unless there is exactly one valid `traceparent` (section 3.2.2).
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let (value, None) = (values.next()?, values.next()) else { return None };
        let (trace, span, flags) = parse(value.as_bytes())?;
        Some(Self { trace, span, flags, state: state(headers) })
    }

    /// The first span of a new trace.
    pub fn begin() -> Self {
        let trace = u128::from(fastrand::u64(1..)) << 64 | u128::from(fastrand::u64(..));
        Self { trace, span: fastrand::u64(1..), flags: 0, state: None }
    }

    /// A new span of the same trace.
    pub fn next(&self) -> Self {
        Self { span: fastrand::u64(1..), ..self.clone() }
    }

    /// Inserts the headers that make this span the parent of the called program's spans.
    pub fn put_in(&self, headers: &mut HeaderMap) {
        // Cannot fail: hexadecimal digits and hyphens are valid in a header value.
        let parent = HeaderValue::from_bytes(&self.parent_value());
        headers.insert(TRACEPARENT, parent.unwrap_or_else(|_| HeaderValue::from_static("")));
        match &self.state {
            Some(state) => drop(headers.insert(TRACESTATE, state.clone())),
            None => drop(headers.remove(TRACESTATE)),
        }
    }

    /// Whether the trace is sampled.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Returns the context with the sampled flag set to `is_sampled`.
    pub fn sampled(mut self, is_sampled: bool) -> Self {
        self.flags = self.flags & !SAMPLED | u8::from(is_sampled);
        self
    }

    /// The ids of the trace and the span.
    pub fn ids(&self) -> (u128, u64) {
        (self.trace, self.span)
    }

    /// The flags of `traceparent`.
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// The `tracestate` of other tracing systems.
    pub fn state(&self) -> TraceState {
        let text = self.state.as_ref().and_then(|state| state.to_str().ok());
        text.and_then(|text| TraceState::from_str(text).ok()).unwrap_or_default()
    }

    /// The value of `traceparent`.
    pub fn parent_value(&self) -> [u8; 55] {
        let mut value = [b'-'; 55];
        value[..2].copy_from_slice(b"00");
        value[3..19].copy_from_slice(&hex((self.trace >> 64) as u64));
        value[19..35].copy_from_slice(&hex(self.trace as u64));
        value[36..52].copy_from_slice(&hex(self.span));
        value[53..].copy_from_slice(&hex(u64::from(self.flags))[14..]);
        value
    }

    /// The value of `tracestate`, if there is one.
    pub fn state_value(&self) -> Option<&HeaderValue> {
        self.state.as_ref()
    }
}

/// Parses a `traceparent` into trace id, parent id and flags.
fn parse(value: &[u8]) -> Option<(u128, u64, u8)> {
    let (fields, rest) = value.split_at_checked(55)?;
    let hyphens = [fields[2], fields[35], fields[52]] == *b"---";
    let version = number(&fields[..2])?;
    // Later versions may have more fields than version 00.
    let is_supported = match version {
        0 => rest.is_empty(),
        0xff => false,
        _ => matches!(rest, [] | [b'-', ..]),
    };
    let trace = number(&fields[3..35])?;
    let span = number(&fields[36..52])? as u64;
    let flags = number(&fields[53..])? as u8;
    (hyphens && is_supported && trace != 0 && span != 0).then_some((trace, span, flags))
}

/// Parses up to 32 lower-case hexadecimal digits.
fn number(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

/// The combined `tracestate`, if it is well-formed and within the limits.
fn state(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut values = headers.get_all(TRACESTATE).iter();
    let first = values.next()?;
    let state = values.try_fold(first.clone(), |state, value| {
        if state.len() + value.len() >= STATE_BYTES {
            return None;
        }
        HeaderValue::from_bytes(&[state.as_bytes(), value.as_bytes()].join(&b',')).ok()
    })?;
    let text = state.to_str().ok()?;
    let is_short = text.len() <= STATE_BYTES && text.split(',').count() <= STATE_MEMBERS;
    (is_short && TraceState::from_str(text).is_ok()).then_some(state)
}

fn hex(number: u64) -> [u8; 16] {
    std::array::from_fn(|i| b"0123456789abcdef"[(number >> (60 - 4 * i)) as usize & 15])
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        let value = |value: &str| HeaderValue::from_str(value).unwrap();
        all.iter().map(|(name, v)| (HeaderName::from_static(name), value(v))).collect()
    }

    fn put(context: &TraceContext) -> HeaderMap {
        let mut headers = HeaderMap::new();
        context.put_in(&mut headers);
        headers
    }

    #[test]
    fn a_valid_trace_is_continued_with_a_new_parent() {
        let sent = TraceContext::of(&headers(&[("traceparent", VALID)])).unwrap();
        assert_eq!(put(&sent)[TRACEPARENT], VALID);
        let ours = put(&sent.next());
        let ours = ours[TRACEPARENT].to_str().unwrap();
        assert_eq!(ours[..36], VALID[..36]);
        assert_ne!(ours[36..52], VALID[36..52]);
        assert_eq!(ours[52..], VALID[52..]);
    }

    #[test]
    fn a_new_trace_is_valid_and_not_sampled() {
        let begun = TraceContext::begin();
        assert!(!begun.is_sampled());
        assert_eq!(TraceContext::of(&put(&begun)), Some(begun));
    }

    #[test]
    fn an_invalid_parent_is_none() {
        for sent in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
        ] {
            assert_eq!(TraceContext::of(&headers(&[("traceparent", sent)])), None, "{sent}");
        }
        let twice = headers(&[("traceparent", VALID), ("traceparent", VALID)]);
        assert_eq!(TraceContext::of(&twice), None);
    }

    #[test]
    fn unknown_fields_of_a_later_version_are_ignored() {
        let later = VALID.replacen("00", "cc", 1) + "-what-comes";
        let context = TraceContext::of(&headers(&[("traceparent", &later)])).unwrap();
        assert_eq!(put(&context)[TRACEPARENT], VALID);
    }

    #[test]
    fn tracestate_is_propagated_if_it_is_well_formed_and_short() {
        let passed = |states: &[&str]| {
            let mut all = vec![("traceparent", VALID)];
            all.extend(states.iter().map(|state| ("tracestate", *state)));
            let context = TraceContext::of(&headers(&all)).unwrap();
            put(&context).get(TRACESTATE).map(|state| state.to_str().unwrap().to_owned())
        };
        let members = |count| (0..count).map(|i| format!("a{i}=1")).collect::<Vec<_>>().join(",");
        assert_eq!(passed(&["a=1,b=2"]).as_deref(), Some("a=1,b=2"));
        assert_eq!(passed(&["a=1", "b=2"]).as_deref(), Some("a=1,b=2"));
        assert!(passed(&[&members(32)]).is_some());
        assert_eq!(passed(&[&members(33)]), None);
        assert_eq!(passed(&[&format!("a={}", "x".repeat(511))]), None);
        assert_eq!(
            passed(&[&format!("a={}", "x".repeat(250)), &format!("b={}", "x".repeat(260))]),
            None
        );
        assert_eq!(passed(&["no member"]), None);
        assert_eq!(passed(&[]), None);
    }
}
