//! Why a request was not accepted: for logs and metrics, while the sender is told one thing for all.

/// Why a request was not accepted. It holds nothing of the request and nothing of a secret.
///
/// The order is how far a request came, so that of several verifiers the one that came furthest tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Denied {
    /// A header that the proof needs is not there.
    #[error("a signature header is missing")]
    MissingHeader,
    /// A header that the proof needs is there more than once.
    ///
    /// No provider sends one twice. Who reads which of them is not the same in every proxy and
    /// listener, so that accepting any would let a request mean two things.
    #[error("a signature header is repeated")]
    DoubledHeader,
    /// A header, or the body where it holds a part of the proof, is not of the form it must have.
    #[error("the signature is malformed")]
    Malformed,
    /// The header has signatures, but none of a scheme that is accepted.
    #[error("the signature scheme is not accepted")]
    OtherScheme,
    /// The body is of a type that this provider's signature does not cover.
    #[error("the signature does not cover the body")]
    BodyNotCovered,
    /// The keys of the issuer are not known yet.
    #[error("the issuer's keys have not been fetched yet")]
    KeysUnavailable,
    /// The token names a key that the issuer does not publish.
    #[error("the token is signed with an unknown key")]
    UnknownKey,
    /// The signature, token or password is not the one of any live secret.
    #[error("the signature does not match")]
    Mismatch,
    /// The moment of signing is too long ago, or the token has expired.
    #[error("the signature is too old")]
    Stale,
    /// The moment of signing is too far in the future, or the token is not valid yet.
    #[error("the timestamp of the signature is in the future")]
    Future,
    /// The token is genuine, but of another issuer or for another audience.
    #[error("the token is for another issuer or audience")]
    OtherAudience,
}

impl Denied {
    /// A word for metrics and logs.
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
