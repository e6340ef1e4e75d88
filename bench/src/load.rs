//! What one run of the load reports, as `bench-load` writes it and `bench` reads it.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The outcome of one run of the load.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Report {
    /// Requests that were answered, with whatever status.
    pub requests: u64,
    /// Answered requests whose status was not the one that is expected.
    pub unexpected: u64,
    /// Requests without an answer, and connections that could not be made.
    pub errors: u64,
    /// From the first request to the last answer.
    pub seconds: f64,
    /// CPU time of the load itself.
    pub cpu_seconds: f64,
    pub requests_per_second: f64,
    /// Latencies of the answered requests, in microseconds.
    pub p50_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
}

impl Report {
    /// A report of what was measured, of times in seconds.
    #[must_use]
    pub fn new(
        latencies: &Histogram<u64>,
        unexpected: u64,
        errors: u64,
        seconds: f64,
        cpu_seconds: f64,
    ) -> Self {
        Self {
            requests: latencies.len(),
            unexpected,
            errors,
            seconds,
            cpu_seconds,
            requests_per_second: float(latencies.len()) / seconds,
            p50_us: latencies.value_at_quantile(0.5),
            p99_us: latencies.value_at_quantile(0.99),
            max_us: latencies.max(),
        }
    }

    /// A time in seconds, spread over the answered requests, in microseconds.
    #[must_use]
    pub fn per_request_us(&self, seconds: f64) -> f64 {
        seconds * 1e6 / float(self.requests)
    }

    #[must_use]
    pub fn p50_ms(&self) -> f64 {
        float(self.p50_us) / 1e3
    }

    #[must_use]
    pub fn p99_ms(&self) -> f64 {
        float(self.p99_us) / 1e3
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn float(count: u64) -> f64 {
    count as f64
}
