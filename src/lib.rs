//! webhook-operator: inbound webhooks for Kubernetes.
//!
//! An **app** (`WebhookApp`) has a **listener**, an HTTP endpoint. A **webhook** (`Webhook`) of the app
//! has a URL. An external sender makes a **trigger**, a request to that URL; the operator
//! authenticates it, makes an **event** of it and delivers the event to the listener. A **delivery**
//! is one event on its way to the listener, an **attempt** one HTTP call of the delivery.
//!
//! The crate is the whole program; `main.rs` only parses the command line. `run` takes the resources
//! from a Kubernetes API server, `standalone` from a folder of YAML files. Everything else is the
//! same for both.
//!
//! # From a resource to a route
//!
//! 1. [`source`] watches the resources and passes each [`plan::Change`] to its `PlanRunner`.
//! 2. [`plan`] decides, without I/O, which routes and statuses follow. [`resources`] has the types of
//!    the custom resources, [`expression`] compiles their CEL expressions.
//! 3. `PlanRunner` updates the table of [`routes`]. The lease holder writes the statuses that differ from
//!    the observed ones.
//!
//! # From a trigger to the listener
//!
//! 1. [`http`] accepts the connection and enforces its limits and timeouts.
//! 2. [`trigger`] runs the pipeline, in this order: route, source address ([`guard`]), body, signature
//!    ([`verify`], with the keys of [`key_sets`]), rate limit ([`guard`]), content decoding ([`coding`]), event ([`event`]), filter
//!    ([`expression`]), duplicate.
//! 3. In mode `Sync`, [`delivery`] calls the listener while the sender waits. In mode `Queued`,
//!    [`store`] writes the event to stable storage before the sender gets 202, and
//!    `delivery::dispatcher` calls the listener afterwards; [`mod@retry`] decides on further attempts.
//!
//! # Other ports
//!
//! [`app_api`] lets an app manage its own webhooks. [`admin`] serves probes, metrics, the delivery API
//! and the web page; [`peers`] queries the other replicas, so that the API shows the deliveries of all.
//! [`traces`] exports spans. [`cli`] has one file per subcommand, and `cli::serve` starts the server.
//!
//! # Decisions
//!
//! `docs/design/` has a page for each larger one. Smaller ones, such as the reason for own code where
//! a library exists, are at the head of their file.
//!
//! # Rules
//!
//! - Imports between modules point downwards: see `ARCHITECTURE.md`.
//! - Pure modules (`plan`, `routes`, `verify`, `event`, `retry`) have no client and no socket; time is
//!   a parameter, apart from the clock of the rate limiter in `guard`.
//! - A trigger gets a 2xx response only when its event is delivered, stored, filtered out or a
//!   duplicate.
#![forbid(unsafe_code)]

pub mod admin;
pub mod app_api;
pub mod app_token;
mod backoff;
pub mod cli;
pub mod coding;
pub mod delivery;
#[cfg(test)]
mod doc_tables;
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
