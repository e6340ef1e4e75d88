//! What a sender proves itself by, made here: for test events.

use http::{HeaderMap, HeaderName, HeaderValue};

/// What is added to a request so that it proves who sent it. Nothing shows its values.
#[derive(Debug, Default)]
pub struct Proof {
    /// Headers that take the place of those that the request has.
    pub headers: HeaderMap,
    /// A parameter that is added to the query.
    pub query: Option<String>,
}

/// Why a request cannot be made to prove itself. Nothing of a secret is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotSign {
    /// Who verifies cannot sign.
    #[error("{0} signs with a private key, and the Secret has only the public one")]
    PublicKey(&'static str),
    /// The keys are the issuer's.
    #[error("only the issuer can create a token of type Jwt")]
    Issuer,
    /// The moment of signing is a member of the body.
    #[error(
        "the signed timestamp is in the body: it must be a JSON object with {0}, in milliseconds since 1970"
    )]
    MomentMissing(&'static str),
    /// The form in the body is larger than one that is accepted.
    #[error("the form in the body is too large")]
    Form,
    /// What is sent must fit into a header.
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
