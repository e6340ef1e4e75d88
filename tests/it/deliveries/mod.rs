//! The delivery API and its command line: SPEC sections 8 and 9.

mod access;
mod api;
mod cli;
mod openapi;
mod overview;
mod peers;
mod replicas;
mod shared;
mod shelf;
mod world;
