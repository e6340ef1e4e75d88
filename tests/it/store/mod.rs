//! What every store engine promises, run by each engine, and what is the own of each.

mod batches;
mod clock;
mod deliveries;
mod engine;
mod engines;
mod model;
mod order;
mod owners;
mod postgres;
mod pruning;
mod repeats;
mod replay;
mod retention;
mod sqlite;
mod starts;
mod world;
