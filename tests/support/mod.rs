//! What the tests of the whole program share.
#![expect(dead_code, reason = "each test binary uses a part of it")]

pub mod admin;
pub mod cluster;
pub mod encode;
pub mod ended;
pub mod flood;
pub mod github;
pub mod http;
pub mod https;
pub mod listener;
pub mod model_store;
pub mod node;
pub mod operator;
pub mod pipeline;
pub mod postgres;
pub mod process;
pub mod rbac;
