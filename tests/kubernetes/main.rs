//! The Kubernetes source and the CRDs against a real API server, with the rights of
//! `deploy/rbac.yaml` and no others.

#[path = "../support/cluster.rs"]
mod cluster;
mod fixture;
mod identity;
mod leases;
mod outages;
mod schema;
mod services;
mod statuses;
mod tokens;
mod watches;
mod webhooks;
