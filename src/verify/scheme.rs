//! Authentication schemes as data: the rows of the provider table, and users' own entries.

use std::time::Duration;

use super::Secret;
use super::encoding::Encoding;
use super::key::Algorithm;
use super::layout::Layout;
use super::position::Position;
use super::secret_form::SecretForm;
use super::timestamp::TimestampFormat;
use super::url::UrlForm;

/// The way in which a sender authenticates its requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scheme<'a> {
    /// The sender signs the request.
    Signature(Signature<'a>),
    /// The sender includes the secret itself.
    Token(Token<'a>),
}

impl Scheme<'_> {
    /// Whether white space around this secret is part of it: not if the scheme decodes the secret,
    /// which ignores white space.
    pub fn keeps_blanks_of(&self, secret: &Secret) -> bool {
        match self {
            Self::Signature(Signature { secret: SecretForm::Verbatim, .. }) | Self::Token(_) => {
                true
            }
            Self::Signature(signature) => {
                signature.secret.verifying_key(signature.algorithm, secret).is_none()
            }
        }
    }
}

/// A signature scheme: everything in which providers differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signature<'a> {
    /// The header with the signature.
    pub header: &'a str,
    /// The position of the signature in the header.
    pub layout: Layout<'a>,
    /// The encoding of the signature.
    pub encoding: Encoding,
    /// The signature algorithm.
    pub algorithm: Algorithm,
    /// The encoding of the key in the secret.
    pub secret: SecretForm,
    /// The signed text, with the placeholders that `template.rs` lists.
    pub signed: &'a str,
    /// The bytes that `{body}` stands for.
    pub over: Over,
    /// The signing time, if the sender includes it. A header or an item requires `{timestamp}` in
    /// `signed`.
    pub timestamp: Option<Timestamp<'a>>,
    /// The header of `{id}`, which is the delivery id.
    pub id: Option<&'a str>,
    /// The accepted spellings of `{url}`.
    pub url: UrlForm,
    /// For `{form}`: the query parameter with the SHA-256 of a body that is not a form.
    pub body_digest: Option<&'static str>,
}

/// The bytes of a body that are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The bytes as sent.
    Encoded,
    /// The body without its content codings.
    Decoded,
}

/// The signing time of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp<'a> {
    /// Its position in the request.
    pub source: Source<'a>,
    /// Its form; of a number in the body, [`TimestampFormat::Unix`].
    pub format: TimestampFormat,
    /// The accepted difference from the current time, in either direction; whole seconds.
    pub tolerance: Duration,
}

/// The position of a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// A header.
    Header(&'a str),
    /// An item of the signature's own header.
    Item(&'a str),
    /// A number in the body, by its JSON pointer.
    Pointer(&'a str),
}

/// A secret that the sender includes in its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// Its position in the request.
    pub at: Position<'a>,
    /// The form of the secret there; credentials are in a header.
    pub form: TokenForm,
}

/// The form of a secret in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenForm {
    /// The text of the secret, and nothing else.
    Whole,
    /// `Bearer` credentials (RFC 6750, section 2.1).
    Bearer,
    /// `Basic` credentials (RFC 7617); the secret is `user:password`.
    Basic,
}

impl Signature<'static> {
    /// Hexadecimal HMAC-SHA256 of the body: the base of most providers' schemes.
    pub const HMAC: Self = Self {
        header: "",
        layout: Layout::Prefixed(""),
        encoding: Encoding::Hex,
        algorithm: Algorithm::HmacSha256,
        secret: SecretForm::Verbatim,
        signed: "{body}",
        over: Over::Encoded,
        timestamp: None,
        id: None,
        url: UrlForm::AsConfigured,
        body_digest: None,
    };
}
