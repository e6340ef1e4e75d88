//! How long to wait after failures in a row.

use std::time::Duration;

/// The wait after a number of failures in a row (1 or more): `first`, then twice that, and so on up to
/// `cap`; and spread over its upper half, so that replicas do not come at once.
pub fn delay(first: Duration, failures: u32, cap: Duration) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    spread(first.saturating_mul(1 << doublings).min(cap), 0.5)
}

/// Somewhere between a fraction of a time and all of it.
pub fn spread(most: Duration, least: f64) -> Duration {
    most.mul_f64(least + (1.0 - least) * fastrand::f64())
}
