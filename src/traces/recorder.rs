//! Starts spans, and hands finished ones to the exporter.

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

/// Timeout of the last export at shutdown.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Starts spans. Without a recorder (the default) trace contexts are propagated from the sender to
/// the listener, and nothing is recorded.
#[derive(Clone, Debug, Default)]
pub struct Traces(Option<Arc<Recorder>>);

/// Receives finished spans. The processor exports them in the background from a bounded queue.
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

    /// Starts the span of a request with these headers, in the sender's trace or in a new one.
    /// Makes the sampling decision.
    pub fn receive(
        &self,
        headers: &HeaderMap,
        name: impl FnOnce() -> Cow<'static, str>,
        kind: SpanKind,
    ) -> Span {
        let parent = TraceContext::of(headers);
        let context = parent.as_ref().map_or_else(TraceContext::begin, TraceContext::next);
        let Some(recorder) = &self.0 else { return Span::unrecorded(context) };
        let context = context.sampled(recorder.sampling.samples(parent.as_ref()));
        if !context.is_sampled() {
            return Span::unrecorded(context);
        }
        let parent = parent.as_ref().map(|context| Parent { context, is_remote: true });
        Span::recorded(recorder.clone(), context, parent, name(), kind)
    }

    /// Starts a span for the processing of a stored event: a child of the span that stored it, with
    /// a link to it (OpenTelemetry semantic conventions for messaging). It is recorded if that span
    /// was sampled.
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

    /// Exports the finished spans and waits for it, for at most 5 seconds. Later spans are not
    /// recorded.
    pub async fn finish(&self) {
        let Some(recorder) = self.0.clone() else { return };
        let finish = move || recorder.processor.shutdown_with_timeout(FLUSH_TIMEOUT);
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
