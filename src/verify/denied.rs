//! Reasons for rejecting a request, for logs and metrics. The sender gets one generic response for
//! all of them.

/// The reason for rejecting a request. It contains nothing of the request or of a secret.
///
/// The variants are ordered by how far verification got: of several failures, the greatest is
/// reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Denied {
    /// A required header is missing.
    #[error("a signature header is missing")]
    MissingHeader,
    /// A required header is repeated.
    ///
    /// No provider sends one twice. Proxies and listeners differ in which of them they read, so one
    /// request could have two meanings.
    #[error("a signature header is repeated")]
    DoubledHeader,
    /// A header, or the part of the body that carries the signature, is malformed.
    #[error("the signature is malformed")]
    Malformed,
    /// The header has signatures, but none of an accepted scheme.
    #[error("the signature scheme is not accepted")]
    OtherScheme,
    /// The body is of a type that this provider's signature does not cover.
    #[error("the signature does not cover the body")]
    BodyNotCovered,
    /// The keys of the issuer have not been fetched yet.
    #[error("the issuer's keys have not been fetched yet")]
    KeysUnavailable,
    /// The token names a key that the issuer does not publish.
    #[error("the token is signed with an unknown key")]
    UnknownKey,
    /// The signature, token or password matches no live secret.
    #[error("the signature does not match")]
    Mismatch,
    /// The request was signed too long ago, or the token has expired.
    #[error("the signature is too old")]
    Stale,
    /// The signing time is too far in the future, or the token is not valid yet.
    #[error("the timestamp of the signature is in the future")]
    Future,
    /// The token is valid, but from another issuer or for another audience.
    #[error("the token is for another issuer or audience")]
    OtherAudience,
}

impl Denied {
    /// The reason as a label for metrics and logs.
    pub fn reason(self) -> &'static str {
        match self {
            Self::MissingHeader => "missing_header",
            Self::DoubledHeader => "doubled_header",
            Self::Malformed => "malformed",
            Self::OtherScheme => "other_scheme",
            Self::BodyNotCovered => "body_not_covered",
            Self::KeysUnavailable => "keys_unavailable",
            Self::UnknownKey => "unknown_key",
            Self::Mismatch => "mismatch",
            Self::Stale => "stale",
            Self::Future => "future",
            Self::OtherAudience => "other_audience",
        }
    }
}
