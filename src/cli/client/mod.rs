//! What the subcommands share that look at an operator from outside: where it is, what is asked of it,
//! and how an answer is printed.

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
