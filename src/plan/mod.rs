//! The planner: from resources to routes and statuses. Pure: no client, no socket, no clock.

pub mod address;
mod challenge;
mod counted;
pub mod decide;
mod delivery;
pub mod duration;
pub mod endpoints;
pub mod events;
mod expressions;
mod guards;
pub mod identity;
pub mod input;
pub mod instance;
pub mod planner;
mod reachability;
mod resource;
mod responses;
mod secret_advice;
pub mod secrets;
mod services;
pub mod status;
pub mod verify;

pub use counted::{Count, Counted, Died, Recount};
pub use events::{Event, EventReason, Severity};
pub use guards::Fault;
pub use input::{
    AppInput, Change, Key, Kind, ObjectRef, ServiceInput, ServicePort, SliceInput, WebhookInput,
};
pub use planner::overview;
pub use planner::{Planner, Settings, Step};
pub use reachability::Reachability;
pub use resource::OperatorResource;
pub use secrets::SecretInput;
pub use services::{Reach, Version};
pub use status::Observed;
