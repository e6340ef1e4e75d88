//! What the programs of the benchmark and of the crash test share: sockets and runtimes per core, a
//! core for all, bodies of a given size, an HTTP client, a listener, `/proc` readings, child processes that end
//! with their owner, statistics and tables.
#![forbid(unsafe_code)]

pub mod affinity;
pub mod body;
pub mod child;
pub mod cores;
pub mod http;
pub mod listener;
pub mod load;
pub mod procfs;
pub mod stats;
pub mod table;
