//! Tests that need what `make cluster` builds: a real API server, and Helm. The Kubernetes source and the
//! CRDs with the rights that the chart gives and no others; the whole program, `run`, with them; the chart.

mod access;
mod adoption;
mod audit;
mod chart;
mod cli;
mod events;
mod examples;
mod fixture;
mod identity;
mod leases;
mod lenra;
mod numbers;
mod outages;
mod rights;
mod run;
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
