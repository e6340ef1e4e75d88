//! Traces: which triggers are followed, what is recorded of each step, and where that is sent.
//!
//! A trigger whose trace is not sampled costs one random number: its context goes on to the listener, and
//! nothing is recorded.

mod context;
mod export;
mod recorder;
mod sampling;
mod settings;
mod span;

pub use context::TraceContext;
pub use export::{Error, start};
pub use recorder::Traces;
pub use sampling::Sampling;
pub use span::Span;
