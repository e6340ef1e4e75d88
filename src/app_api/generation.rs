//! The two generations of the protocol: the same calls under two paths and two words.

/// Which form of the protocol a request speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// The first one, which is this product's own: `action`.
    First,
    /// The later one, an alias: `listener`.
    Later,
}

impl Generation {
    /// Both.
    pub const ALL: [Self; 2] = [Self::First, Self::Later];

    /// The path of the webhooks.
    pub fn path(self) -> &'static str {
        match self {
            Self::First => "/app/webhooks",
            Self::Later => "/app-api/v1/webhooks",
        }
    }

    /// The field that names what the listener is asked to do.
    pub fn field(self) -> &'static str {
        match self {
            Self::First => "action",
            Self::Later => "listener",
        }
    }

    /// The reason of an error about that field.
    pub fn invalid_field(self) -> &'static str {
        match self {
            Self::First => "invalid_action",
            Self::Later => "invalid_listener",
        }
    }
}
