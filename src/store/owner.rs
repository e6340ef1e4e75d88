//! Which namespace owns an app UUID.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

/// Minimum time that an [`Owner`] is kept after it was last recorded.
pub const OWNER_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// The namespace that owns an app UUID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The app's UUID.
    pub uuid: Uuid,
    /// The namespace.
    pub namespace: Arc<str>,
}
