//! Sources of resources (a Kubernetes cluster or a folder of files), and the [`Brain`] that they
//! share.

mod access;
mod brain;
mod due;
pub mod files;
pub mod kubernetes;
pub mod owners;
mod pending;
pub mod pruning;
mod signals;
mod store;
mod tallies;

pub use access::{AccessReviewer, Right, User, Verb};
pub use brain::Brain;
pub use due::Due;
pub use pending::Pending;
pub use signals::{Signals, Watching, Written};
pub use store::{Account, StoreError, TokenReviewer, WebhookStore};
pub use tallies::{Counting, LocalTallies, Tallies};
