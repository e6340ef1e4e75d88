//! The key sets of issuers, fetched and kept fresh: what `verify::jwt` reads is put there by this.
//!
//! | question | file |
//! |---|---|
//! | when is a set fetched? | `keep.rs`; the waits: `waits.rs` |
//! | which fetch may start next? | `schedule.rs` (pure); who waits: `slots.rs` |
//! | how is it fetched, and what is refused? | `fetch.rs` |
//! | how long may its answer be used? | `lifetime.rs` |

mod fetch;
mod keep;
mod lifetime;
mod schedule;
mod slots;
mod waits;

pub use fetch::{CONNECT_LIMIT, FetchError, Fetched, LIMIT, MAX_DOCUMENT, fetch};
pub use keep::{BETWEEN_MISSES, keep_fresh};
