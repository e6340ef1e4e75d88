//! Tests that need what a build makes and nothing else: of modules in this process, and of the program on
//! loopback.
//!
//! One binary, because linking one of this size costs more than running its tests. They run at once in one
//! process, so none sets an environment variable, the working directory or a global subscriber, or
//! measures the process: one that must do so starts a process, or is a binary of its own.

mod app_api;
mod bodies;
mod caller;
mod cli;
mod deliveries;
mod dispatcher;
mod duplicates;
mod endpoints;
mod envelopes;
mod examples;
mod guards;
mod isolation;
mod key_sets;
mod layers;
mod listen;
mod listener_connections;
mod metrics;
mod queued;
mod repetitions;
mod responses;
mod routes;
mod senders;
mod shared_store;
mod signed;
mod standalone;
mod store;
#[path = "../support/mod.rs"]
mod support;
mod tls;
mod traces;
mod transform;
mod trigger;
mod verify;
