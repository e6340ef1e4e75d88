//! How many triggers are let in.

mod rate;

pub use rate::RateLimit;
