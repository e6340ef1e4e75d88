//! A span as the collector got it, for people who compare.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span as Sent;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

/// A span; ids are in hexadecimal digits, an id that is not there is empty.
#[derive(Clone, Debug)]
pub struct Span {
    pub name: String,
    pub kind: SpanKind,
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub state: String,
    /// The spans that it is linked to, with their traces.
    pub links: Vec<(String, String)>,
    pub attributes: Vec<(String, String)>,
    /// The message of its status, where that is an error.
    pub error: Option<String>,
    /// When it began and ended, in nanoseconds.
    pub time: (u64, u64),
}

impl Span {
    /// An attribute's value.
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }
}

impl From<Sent> for Span {
    fn from(sent: Sent) -> Self {
        let error = sent.status.as_ref().filter(|status| status.code == 2);
        Self {
            kind: sent.kind(),
            trace: hex(&sent.trace_id),
            id: hex(&sent.span_id),
            parent: hex(&sent.parent_span_id),
            links: sent.links.iter().map(|l| (hex(&l.trace_id), hex(&l.span_id))).collect(),
            attributes: attributes(&sent.attributes),
            error: error.map(|status| status.message.clone()),
            time: (sent.start_time_unix_nano, sent.end_time_unix_nano),
            state: sent.trace_state,
            name: sent.name,
        }
    }
}

/// Attributes as text.
pub fn attributes(sent: &[KeyValue]) -> Vec<(String, String)> {
    let text = |pair: &KeyValue| match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{}: {other:?}", pair.key),
    };
    sent.iter().map(|pair| (pair.key.clone(), text(pair))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
