//! webhook-operator: inbound webhooks for Kubernetes.
#![forbid(unsafe_code)]

pub mod app_api;
pub mod cli;
pub mod plan;
pub mod resources;
pub mod routes;
pub mod source;
