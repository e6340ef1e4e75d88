//! Which triggers are let in: by where they come from.

mod client;
mod networks;

pub use client::client_address;
pub use networks::Networks;
