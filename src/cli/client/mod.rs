//! Shared code of the subcommands that call a running operator: discovery, requests and output.

pub mod ask;
pub mod called;
pub mod cluster;
mod format;
pub mod place;
pub mod reach;
pub mod replica;
pub mod table;
pub mod target;
pub mod way;

pub use format::Format;
