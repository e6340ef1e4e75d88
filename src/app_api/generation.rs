//! The two generations of the protocol, which differ in their path and one field name.

/// A generation of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// The first one, this product's own: `action`.
    First,
    /// The later one, kept as an alias: `listener`.
    Later,
}

impl Generation {
    /// Both generations.
    pub const ALL: [Self; 2] = [Self::First, Self::Later];

    /// The path of the webhooks collection.
    pub fn path(self) -> &'static str {
        match self {
            Self::First => "/app/webhooks",
            Self::Later => "/app-api/v1/webhooks",
        }
    }

    /// The field with the action of the listener.
    pub fn field(self) -> &'static str {
        match self {
            Self::First => "action",
            Self::Later => "listener",
        }
    }

    /// The error reason for that field.
    pub fn invalid_field(self) -> &'static str {
        match self {
            Self::First => "invalid_action",
            Self::Later => "invalid_listener",
        }
    }
}
