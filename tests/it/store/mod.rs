//! What every store engine promises, run by each engine, and what is the own of the embedded one.

mod batches;
mod clock;
mod deliveries;
mod engine;
mod engines;
mod model;
mod order;
mod owners;
mod pruning;
mod repeats;
mod replay;
mod retention;
mod sqlite;
mod starts;
mod world;
