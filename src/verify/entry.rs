//! Compiles an entry of `spec.verify`, so that its mistakes are found before any request arrives.

use http::HeaderName;
use http::header::AUTHORIZATION;

use super::pointer::Pointer;
use super::position::Position;
use super::provider::{Delivery, Provider};
use super::scheme::{Scheme, Signature, Token, TokenForm};
use super::signature::SignatureCheck;
use super::template::TemplateError;
use super::token::TokenCheck;
use super::{Secret, jwt};

/// An entry of `spec.verify`.
#[derive(Debug)]
pub enum Entry<'a> {
    /// A provider of the table.
    Provider {
        /// The provider.
        provider: &'static Provider,
        /// Whether the provider's weaker schemes are accepted as well.
        legacy: bool,
        /// The token of a subscription request (`verifyToken`).
        verify_token: Option<Secret>,
    },
    /// A signature that the user configures, and what else its sender says about an event.
    Hmac(Signature<'a>, Metadata<'a>),
    /// A secret at a position that the user names.
    ApiKey(Position<'a>),
    /// A token of an issuer that publishes its keys. This entry has no secrets.
    Jwt(jwt::Rules),
}

/// What the sender of a user's entry says about an event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Metadata<'a> {
    /// The position of the delivery id.
    pub delivery: Option<Delivery<'a>>,
    /// Headers that are passed to the listener.
    pub event_headers: &'a [String],
}

/// A mistake in an entry. It contains nothing of a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Without a secret, any sender would be accepted.
    #[error("at least one secret is required")]
    NoSecret,
    /// No request could match this secret.
    #[error("secret {number} does not have the form that {provider} requires: {form}")]
    SecretForm {
        /// The position in the list, from 1.
        number: usize,
        /// The entry's type.
        provider: &'static str,
        /// The required form.
        form: String,
    },
    /// The text is not a header name.
    #[error("{0:?} is not a header name")]
    HeaderName(String),
    /// The text is not a JSON pointer.
    #[error("{0:?} is not a JSON pointer to a value below the root")]
    Pointer(String),
    /// The template of the signed text is invalid.
    #[error("signed: {0}")]
    Template(#[from] TemplateError),
    /// `{timestamp}` is signed, but neither a header nor an item is named for it.
    #[error("signed has {{timestamp}}, so timestampHeader or items.timestamp is needed")]
    TimestampHeaderMissing,
    /// A timestamp that is not signed does not prevent replays.
    #[error("timestampHeader or items.timestamp is set, so signed must have {{timestamp}}")]
    TimestampNotSigned,
    /// `{id}` is signed, but no header is named for it.
    #[error("signed has {{id}}, so idHeader is needed")]
    IdHeaderMissing,
    /// An id that is not signed can be changed on the way.
    #[error("idHeader is set, so signed must have {{id}}")]
    IdNotSigned,
    /// The provider does not send subscription requests.
    #[error("{0} does not support verifyToken")]
    VerifyTokenUnused(&'static str),
    /// A response with a MAC signs what the request contains.
    #[error("a challenge whose answer has a signature must be signed itself")]
    UnprovedMac,
    /// Without a condition, every event would be taken for the challenge.
    #[error("challenge: a POST whose challenge is in the body needs a condition in when")]
    ChallengeIsEvent,
    /// Without an audience, tokens that were issued for other services would be accepted.
    #[error("jwt.audiences and jwt.issuer must not be empty")]
    JwtUnbound,
}

/// A compiled scheme.
#[derive(Debug)]
pub(super) enum SchemeCheck {
    Signature(SignatureCheck),
    Token(TokenCheck),
    Jwt(jwt::Rules),
}

impl<'a> Entry<'a> {
    /// The schemes in which the secrets of the entry are keys; none for a JSON Web Token.
    pub fn schemes(&self) -> Vec<Scheme<'a>> {
        named_schemes(self).1
    }
}

/// The type of an entry, and the schemes that its requests may use.
pub(super) fn named_schemes<'a>(entry: &Entry<'a>) -> (&'static str, Vec<Scheme<'a>>) {
    match *entry {
        Entry::Provider { provider, legacy, .. } => {
            let more = if legacy { provider.legacy_schemes } else { &[] };
            (provider.name, provider.schemes.iter().chain(more).copied().collect())
        }
        Entry::Hmac(signature, _) => ("Hmac", vec![Scheme::Signature(signature)]),
        Entry::ApiKey(at) => ("ApiKey", vec![Scheme::Token(Token { at, form: TokenForm::Whole })]),
        Entry::Jwt(_) => ("Jwt", Vec::new()),
    }
}

/// The headers by which a sender of the entry authenticates itself, also by a scheme that the entry
/// does not accept.
///
/// # Errors
/// If the entry names a header that is none.
pub(super) fn proof_headers(entry: &Entry<'_>) -> Result<Box<[HeaderName]>, EntryError> {
    let mut schemes = entry.schemes();
    match entry {
        Entry::Provider { provider, .. } => schemes.extend(provider.legacy_schemes),
        Entry::Jwt(_) => return Ok([AUTHORIZATION].into()),
        Entry::Hmac(..) | Entry::ApiKey(_) => {}
    }
    let headers = schemes.iter().filter_map(|scheme| match scheme {
        Scheme::Signature(Signature { header, .. })
        | Scheme::Token(Token { at: Position::Header(header), .. }) => Some(header_name(header)),
        Scheme::Token(_) => None,
    });
    headers.collect()
}

/// Compiles schemes. A secret that fits none of them is a mistake of the user.
pub(super) fn checks(
    provider: &'static str,
    schemes: &[Scheme<'_>],
    secrets: &[Secret],
) -> Result<Vec<SchemeCheck>, EntryError> {
    if secrets.is_empty() {
        return Err(EntryError::NoSecret);
    }
    for (place, secret) in secrets.iter().enumerate() {
        let alone = std::slice::from_ref(secret);
        if checks_of(schemes, alone)?.is_empty() {
            let form = description(schemes);
            return Err(EntryError::SecretForm { number: place + 1, provider, form });
        }
    }
    checks_of(schemes, secrets)
}

fn checks_of(schemes: &[Scheme<'_>], secrets: &[Secret]) -> Result<Vec<SchemeCheck>, EntryError> {
    let checks = schemes.iter().map(|scheme| match scheme {
        Scheme::Signature(scheme) => {
            Ok(SignatureCheck::new(scheme, secrets)?.map(SchemeCheck::Signature))
        }
        Scheme::Token(token) => Ok(TokenCheck::new(token, secrets)?.map(SchemeCheck::Token)),
    });
    checks.filter_map(Result::transpose).collect()
}

/// The accepted forms of a secret.
fn description(schemes: &[Scheme<'_>]) -> String {
    let mut forms: Vec<_> = schemes
        .iter()
        .map(|scheme| match scheme {
            Scheme::Signature(Signature { secret, algorithm, .. }) => {
                secret.description(*algorithm)
            }
            Scheme::Token(Token { form: TokenForm::Basic, .. }) => "user:password",
            Scheme::Token(_) => "any text",
        })
        .collect();
    forms.sort_unstable();
    forms.dedup();
    forms.join(", or ")
}

/// Parses a header name as users write it.
pub(super) fn header_name(name: &str) -> Result<HeaderName, EntryError> {
    name.parse().map_err(|_| EntryError::HeaderName(name.into()))
}

/// Parses a JSON pointer as users write it.
pub(super) fn pointer(text: &str) -> Result<Pointer, EntryError> {
    Pointer::parse(text).ok_or_else(|| EntryError::Pointer(text.into()))
}
