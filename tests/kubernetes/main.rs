//! The Kubernetes source and the CRDs against a real API server, with the rights that
//! the chart gives and no others.

mod access;
mod adoption;
mod audit;
mod cli;
mod events;
mod examples;
mod fixture;
mod identity;
mod leases;
mod numbers;
mod outages;
mod rights;
mod schema;
mod secrets;
mod services;
mod statuses;
#[path = "../support/mod.rs"]
mod support;
mod tokens;
mod watches;
mod webhooks;

use support::cluster;
