//! What the binaries of the benchmark share: sockets and runtimes per core, a core for all, bodies
//! of a given size, `/proc` readings, child processes that end with their owner, and statistics.
#![forbid(unsafe_code)]

pub mod affinity;
pub mod body;
pub mod child;
pub mod cores;
pub mod load;
pub mod procfs;
pub mod stats;
