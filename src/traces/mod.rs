//! Distributed tracing: sampling, spans, and export to an OpenTelemetry collector.
//!
//! A trigger whose trace is not sampled costs one random number: its trace context is propagated to
//! the listener, and nothing is recorded.

mod context;
mod export;
mod recorder;
mod sampling;
mod settings;
mod span;

pub use context::{TRACEPARENT, TRACESTATE, TraceContext};
pub use export::{Error, start};
pub use recorder::Traces;
pub use sampling::Sampling;
pub use span::Span;
