//! Where spans begin, and where they go when they end.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use opentelemetry::InstrumentationScope;
use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanProcessor};

use super::span::Parent;
use super::{Sampling, Span, TraceContext};

/// How long the last spans have to reach the collector when the program ends.
const FLUSH: Duration = Duration::from_secs(5);

/// Begins spans. Without a recorder (the default) traces go from the sender to the listener, and
/// nothing is recorded of them.
#[derive(Clone, Debug, Default)]
pub struct Traces(Option<Arc<Recorder>>);

/// Takes the spans that have ended; the processor sends them in the background, as many as its queue
/// holds.
pub(super) struct Recorder {
    pub scope: InstrumentationScope,
    sampling: Sampling,
    processor: BatchSpanProcessor,
}

impl Traces {
    pub(super) fn new(sampling: Sampling, processor: BatchSpanProcessor) -> Self {
        let scope = InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        Self(Some(Arc::new(Recorder { scope, sampling, processor })))
    }

    /// The span of a request with these headers: of the sender's trace, or the first of a new one.
    /// Here it is decided whether the trace is recorded.
    pub fn receive(
        &self,
        headers: &HeaderMap,
        name: impl FnOnce() -> Cow<'static, str>,
        kind: SpanKind,
    ) -> Span {
        let parent = TraceContext::of(headers);
        let context = parent.as_ref().map_or_else(TraceContext::begin, TraceContext::next);
        let Some(recorder) = &self.0 else { return Span::unrecorded(context) };
        let context = context.sampled(recorder.sampling.takes(parent.as_ref()));
        if !context.is_sampled() {
            return Span::unrecorded(context);
        }
        let parent = parent.as_ref().map(|context| Parent { context, is_remote: true });
        Span::recorded(recorder.clone(), context, parent, name(), kind)
    }

    /// The span of what is done later with what was stored: a step of the span that stored it, and
    /// linked to it, as messages are to what sent them. It is recorded if that one was.
    pub fn resume(&self, stored: &HeaderMap, name: &'static str, kind: SpanKind) -> Span {
        let Some(stored) = TraceContext::of(stored) else {
            return Span::unrecorded(TraceContext::begin());
        };
        let context = stored.next();
        let Some(recorder) = self.0.as_ref().filter(|_| stored.is_sampled()) else {
            return Span::unrecorded(context);
        };
        let parent = Parent { context: &stored, is_remote: true };
        let mut span = Span::recorded(recorder.clone(), context, Some(parent), name.into(), kind);
        span.link(&stored);
        span
    }

    /// Sends what has ended, and waits for it, within a bound. Nothing is recorded from then on.
    pub async fn finish(&self) {
        let Some(recorder) = self.0.clone() else { return };
        let finish = move || recorder.processor.shutdown_with_timeout(FLUSH);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(finish).await {
            tracing::warn!(%error, "cannot export the last spans");
        }
    }
}

impl Recorder {
    pub(super) fn record(&self, span: SpanData) {
        self.processor.on_end(span);
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("sampling", &self.sampling).finish_non_exhaustive()
    }
}
