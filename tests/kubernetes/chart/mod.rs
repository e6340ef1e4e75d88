//! The Helm chart: what it renders, which values it refuses, and what becomes of a release on a
//! real API server.

mod helm;
mod releases;
mod snapshots;
mod urls;
mod values;
