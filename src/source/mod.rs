//! Sources of resources (a Kubernetes cluster or a folder of files), and the [`PlanRunner`] that they
//! share.

mod access;
pub mod files;
pub mod kubernetes;
mod metrics;
pub mod owners;
mod pending_statuses;
mod plan_runner;
pub mod pruning;
mod store;
mod tallies;
mod work_queue;

pub use access::{AccessReviewer, Right, User, Verb};
pub use metrics::{SourceMetrics, StatusWrites, WatchMetrics};
pub use pending_statuses::PendingStatuses;
pub use plan_runner::PlanRunner;
pub use store::{Account, StoreError, TokenReviewer, WebhookStore};
pub use tallies::{Counting, LocalTallies, Tallies};
pub use work_queue::WorkQueue;
