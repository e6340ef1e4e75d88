//! Traces of the running program, as collectors that speak gRPC and HTTP get them.

mod collector;
mod exports;
mod span;
mod spans;
mod world;
