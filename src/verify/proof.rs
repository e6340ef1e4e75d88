//! Signs test events as a provider would.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The headers and the query parameter that authenticate a request. `Debug` hides their values.
#[derive(Default)]
pub struct Proof {
    /// Headers that replace those of the request.
    pub headers: HeaderMap,
    /// A query parameter to add. It may be the secret itself.
    pub query: Option<String>,
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { headers, query } = self;
        let query = query.as_ref().map(|_| "..");
        f.debug_struct("Proof").field("headers", headers).field("query", &query).finish()
    }
}

/// A reason why a request cannot be signed. It contains nothing of a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotSign {
    /// A public key can verify but not sign.
    #[error("{0} signs with a private key, and the Secret has only the public one")]
    PublicKey(&'static str),
    /// Only the issuer has the private key.
    #[error("only the issuer can create a token of type Jwt")]
    Issuer,
    /// The signing time is a member of the body.
    #[error(
        "the signed timestamp is in the body: it must be a JSON object with {0}, in milliseconds since 1970"
    )]
    TimestampMissing(String),
    /// The secret is a member of the body.
    #[error("the secret is in the body: it must be a JSON object with it at /{0}")]
    TokenMissing(String),
    /// The secret is not UTF-8, so that no query can have it.
    #[error("the secret has bytes that a query cannot have")]
    Parameter,
    /// A header that is signed is missing.
    #[error("the header {0} is signed: set it with --header")]
    HeaderMissing(HeaderName),
    /// The form in the body exceeds the limit.
    #[error("the form in the body is too large")]
    Form,
    /// The value is not a valid header value.
    #[error(
        "the value of {0} has characters that a header cannot have; check the Secret for a line break"
    )]
    Header(HeaderName),
}

impl Proof {
    pub(super) fn add(&mut self, name: &HeaderName, value: &[u8]) -> Result<(), CannotSign> {
        let value = HeaderValue::from_bytes(value);
        let mut value = value.map_err(|_| CannotSign::Header(name.clone()))?;
        value.set_sensitive(true);
        self.headers.insert(name, value);
        Ok(())
    }
}
