//! Rate limits.

mod rate;

pub use rate::RateLimit;
