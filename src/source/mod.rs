//! Where resources come from and statuses go to; and the brain that stands between.

mod brain;
pub mod files;
pub mod kubernetes;
mod look_ups;
mod pending;
mod store;

pub use brain::Brain;
pub use look_ups::LookUps;
pub use pending::Pending;
pub use store::{Account, StoreError, TokenReviewer, WebhookStore};
