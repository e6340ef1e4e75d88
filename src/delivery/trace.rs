//! `traceparent` (W3C Trace Context, level 1): the sender's trace goes on, or a new one begins.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header's name.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The header's value for the listener call.
#[derive(Clone, Debug)]
pub struct TraceParent {
    trace: [u8; 32],
    flags: [u8; 2],
}

impl TraceParent {
    /// Continues the sender's trace where its header is valid (section 3.2.2), else begins one.
    pub fn continue_from(header: Option<&HeaderValue>) -> Self {
        header.and_then(|value| Self::parse(value.as_bytes())).unwrap_or_else(Self::begin)
    }

    /// Puts a trace into headers: the one that is in them, or a new one.
    pub fn continue_in(headers: &mut HeaderMap) {
        let trace = Self::continue_from(headers.get(TRACEPARENT)).to_header();
        headers.insert(TRACEPARENT, trace);
    }

    /// The value, with a span of our own as the parent.
    pub fn to_header(&self) -> HeaderValue {
        let mut value = [b'-'; 55];
        value[..2].copy_from_slice(b"00");
        value[3..35].copy_from_slice(&self.trace);
        value[36..52].copy_from_slice(&hex(fastrand::u64(1..)));
        value[53..].copy_from_slice(&self.flags);
        // Hexadecimal digits and hyphens are a header value.
        HeaderValue::from_bytes(&value).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    fn begin() -> Self {
        let mut trace = [0; 32];
        trace[..16].copy_from_slice(&hex(fastrand::u64(1..)));
        trace[16..].copy_from_slice(&hex(fastrand::u64(..)));
        Self { trace, flags: *b"00" }
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let fields: Vec<&[u8]> = value.split(|byte| *byte == b'-').collect();
        let &[version, trace, parent, flags, ref rest @ ..] = &fields[..] else { return None };
        let is_valid = |field: &[u8], len| {
            field.len() == len && field.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        let is_zero = |field: &[u8]| field.iter().all(|byte| *byte == b'0');
        // A later version may have more fields; version 00 has not.
        let known =
            is_valid(version, 2) && version != b"ff" && (version != b"00" || rest.is_empty());
        let valid = is_valid(trace, 32) && is_valid(parent, 16) && is_valid(flags, 2);
        if !known || !valid || is_zero(trace) || is_zero(parent) {
            return None;
        }
        Some(Self { trace: trace.try_into().ok()?, flags: flags.try_into().ok()? })
    }
}

fn hex(number: u64) -> [u8; 16] {
    std::array::from_fn(|i| b"0123456789abcdef"[(number >> (60 - 4 * i)) as usize & 15])
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_valid_trace_goes_on_with_a_new_parent() {
        let sent = HeaderValue::from_static(VALID);
        let ours = TraceParent::continue_from(Some(&sent)).to_header();
        let ours = ours.to_str().unwrap();
        assert_eq!(ours[..36], VALID[..36]);
        assert_ne!(ours[36..52], VALID[36..52]);
        assert_eq!(ours[52..], VALID[52..]);
    }

    #[test]
    fn an_invalid_one_is_replaced_by_a_new_trace() {
        for sent in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            let sent = HeaderValue::from_static(sent);
            let ours = TraceParent::continue_from(Some(&sent)).to_header();
            assert_eq!(ours.len(), 55);
            assert!(TraceParent::parse(ours.as_bytes()).is_some());
            assert!(!ours.to_str().unwrap().contains("4bf92f35"));
        }
    }
}
