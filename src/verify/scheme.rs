//! What a sender proves itself by, as data: rows of the provider table, and what users write.

use std::time::Duration;

use super::encoding::Encoding;
use super::key::Algorithm;
use super::layout::Layout;
use super::secret_form::SecretForm;
use super::url::UrlForm;

/// What a sender proves itself by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scheme<'a> {
    /// It signs what it sends.
    Signature(Signature<'a>),
    /// It shows the secret itself.
    Token(Token<'a>),
}

/// A signature, in all that providers differ in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signature<'a> {
    /// The header that holds the signature.
    pub header: &'a str,
    /// Where in the header it is.
    pub layout: Layout<'a>,
    /// How it is written.
    pub encoding: Encoding,
    /// What it is made with.
    pub algorithm: Algorithm,
    /// How a secret spells the key.
    pub secret: SecretForm,
    /// What is signed: text with `{id}`, `{timestamp}`, `{url}` and `{body}` in it.
    pub signed: &'a str,
    /// When it was signed, where the sender tells. A header or item is only of use where `signed`
    /// has `{timestamp}`.
    pub timestamp: Option<Timestamp<'a>>,
    /// The header of `{id}`, which then is the delivery's id.
    pub id: Option<&'a str>,
    /// Which spelling of the URL `{url}` is.
    pub url: UrlForm,
    /// For `{form}`: the query's parameter that has the SHA-256 of a body which is not a form.
    pub body_digest: Option<&'static str>,
}

/// When a request was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp<'a> {
    /// Where it is told.
    pub source: Source<'a>,
    /// How far it may be from the present, in either direction; whole seconds.
    pub tolerance: Duration,
}

/// Where a timestamp is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// A header.
    Header(&'a str),
    /// An item of the signature's own header.
    Item(&'static str),
    /// A member of the body, which is a JSON object.
    Member(&'static str),
}

/// A secret that the sender shows in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// The header.
    pub header: &'a str,
    /// Where the secret is in it.
    pub form: TokenForm,
}

/// Where a secret is in its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenForm {
    /// It is the whole value.
    Whole,
    /// `Bearer` credentials (RFC 6750, section 2.1).
    Bearer,
    /// `Basic` credentials (RFC 7617); the secret is `user:password`.
    Basic,
}

impl Signature<'static> {
    /// Hexadecimal HMAC-SHA256 of the body: what most providers begin from.
    pub const HMAC: Self = Self {
        header: "",
        layout: Layout::Prefixed(""),
        encoding: Encoding::Hex,
        algorithm: Algorithm::HmacSha256,
        secret: SecretForm::Verbatim,
        signed: "{body}",
        timestamp: None,
        id: None,
        url: UrlForm::AsConfigured,
        body_digest: None,
    };
}
