//! The command line of people who run webhooks: `trigger`, `status`, completion, the kubectl plugin.
//! SPEC section 9.

mod eval;
mod plugin;
mod run;
mod status;
mod trigger;
