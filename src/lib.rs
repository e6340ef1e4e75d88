//! webhook-operator: inbound webhooks for Kubernetes.
#![forbid(unsafe_code)]

pub mod admin;
pub mod app_api;
pub mod app_token;
mod backoff;
pub mod cli;
pub mod delivery;
pub mod event;
pub mod expression;
pub mod guard;
pub mod histogram;
pub mod http;
pub mod key_sets;
pub mod moment;
pub mod peers;
pub mod plan;
pub mod resources;
pub mod retry;
pub mod routes;
mod shares;
pub mod source;
pub mod store;
pub mod traces;
pub mod trigger;
mod trust;
pub mod verify;
