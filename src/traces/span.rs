//! A span: one operation in the processing of a trigger, recorded if its trace is sampled.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId};
use opentelemetry::{Key, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::TraceContext;
use super::recorder::Recorder;

/// Attribute with the class of an error (OpenTelemetry semantic conventions).
const ERROR_TYPE: &str = "error.type";

/// A span. It ends when it is dropped.
#[derive(Debug)]
pub struct Span {
    context: TraceContext,
    recorded: Option<(Arc<Recorder>, Box<SpanData>)>,
}

impl Span {
    /// A span that is not recorded: it only propagates its context.
    pub(super) fn unrecorded(context: TraceContext) -> Self {
        Self { context, recorded: None }
    }

    /// A span that is recorded.
    pub(super) fn recorded(
        recorder: Arc<Recorder>,
        context: TraceContext,
        parent: Option<Parent<'_>>,
        name: Cow<'static, str>,
        kind: SpanKind,
    ) -> Self {
        let now = SystemTime::now();
        let data = SpanData {
            span_context: span_context(&context, false),
            parent_span_id: parent
                .as_ref()
                .map_or(SpanId::INVALID, |parent| parent.context.ids().1.into()),
            parent_span_is_remote: parent.as_ref().is_some_and(|parent| parent.is_remote),
            span_kind: kind,
            name,
            start_time: now,
            end_time: now,
            attributes: Vec::with_capacity(ATTRIBUTES),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: recorder.scope.clone(),
        };
        Self { context, recorded: Some((recorder, Box::new(data))) }
    }

    /// The context that called programs receive as their parent.
    pub fn context(&self) -> &TraceContext {
        &self.context
    }

    /// Starts a child span in this process.
    pub fn child(&self, name: &'static str, kind: SpanKind) -> Self {
        let Some((recorder, _)) = &self.recorded else {
            return Self::unrecorded(self.context.clone());
        };
        let parent = Parent { context: &self.context, is_remote: false };
        let context = self.context.next();
        Self::recorded(recorder.clone(), context, Some(parent), name.into(), kind)
    }

    /// Adds attributes. The closure runs only if the span is recorded.
    pub fn describe<const N: usize>(
        &mut self,
        attributes: impl FnOnce() -> [(&'static str, Value); N],
    ) {
        if let Some((_, data)) = &mut self.recorded {
            let attributes = attributes().into_iter();
            data.attributes.extend(attributes.map(|(key, value)| KeyValue::new(key, value)));
        }
    }

    /// Marks the span as failed. `why` is the value of `error.type`.
    pub fn fail(&mut self, why: impl Into<Cow<'static, str>>) {
        if let Some((_, data)) = &mut self.recorded {
            let why = why.into();
            data.attributes.push(KeyValue::new(Key::new(ERROR_TYPE), why.clone()));
            data.status = Status::error(why);
        }
    }

    /// Adds a link to the span that caused this one.
    pub(super) fn link(&mut self, to: &TraceContext) {
        if let Some((_, data)) = &mut self.recorded {
            data.links.links.push(Link::with_context(span_context(to, true)));
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some((recorder, mut data)) = self.recorded.take() {
            data.end_time = SystemTime::now();
            recorder.record(*data);
        }
    }
}

/// The parent of a span.
pub(super) struct Parent<'a> {
    pub context: &'a TraceContext,
    /// Whether the parent is in another process, or in this one at an earlier time.
    pub is_remote: bool,
}

fn span_context(context: &TraceContext, is_remote: bool) -> SpanContext {
    let (trace, span) = context.ids();
    SpanContext::new(
        TraceId::from(trace),
        SpanId::from(span),
        TraceFlags::new(context.flags()),
        is_remote,
        context.state(),
    )
}

/// Initial capacity for attributes: enough for most spans.
const ATTRIBUTES: usize = 12;
