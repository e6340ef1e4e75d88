//! Fetches the key sets of issuers and keeps them fresh. `verify::jwt` reads the keys.
//!
//! | question | file |
//! |---|---|
//! | When is a set fetched? | `refresh.rs`; the delays: `waits.rs` |
//! | Which fetch starts next? | `schedule.rs` (pure); the queue: `slots.rs` |
//! | How is a set fetched, and which URLs and responses are refused? | `fetch.rs` |
//! | How long may a response be used? | `lifetime.rs` |

mod fetch;
mod lifetime;
mod refresh;
mod schedule;
mod slots;
mod waits;

pub use fetch::{CONNECT_LIMIT, FetchError, Fetched, LIMIT, MAX_DOCUMENT, fetch};
pub use refresh::{BETWEEN_MISSES, keep_fresh};
