//! Which triggers are let in: by where they come from, and by how many there are.

mod client;
mod networks;
mod rate;

pub use client::{client_address, client_network};
pub use networks::Networks;
pub use rate::RateLimit;
