//! The delivery API: SPEC section 8.

mod access;
mod api;
mod openapi;
mod shelf;
mod world;
