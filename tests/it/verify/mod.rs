//! Signatures as providers make them: every vector, what a forger would try, and the details.

mod accepted;
mod adversities;
mod details;
mod entries;
mod handshakes;
mod jwt;
mod key_sets;
mod properties;
mod request;
pub mod sign;
mod signing;
mod tokens;
mod user_entries;
mod user_entry;
mod vectors;
