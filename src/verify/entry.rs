//! An entry of `spec.verify`, made ready: what is wrong with it is found here and not by a request.

use http::HeaderName;

use super::provider::Provider;
use super::scheme::{Scheme, Signature, Token, TokenForm};
use super::signature::SignatureCheck;
use super::template::TemplateError;
use super::token::TokenCheck;
use super::{Secret, jwt};

/// An entry of `spec.verify`.
#[derive(Debug)]
pub enum Entry<'a> {
    /// A row of the table.
    Provider {
        /// The row.
        provider: &'static Provider,
        /// Whether the provider's weaker schemes are accepted too.
        legacy: bool,
        /// What a subscription shows (`verifyToken`).
        verify_token: Option<Secret>,
    },
    /// A signature that the user describes.
    Hmac(Signature<'a>),
    /// A secret in a header that the user names.
    ApiKey {
        /// The header's name.
        header: &'a str,
    },
    /// A token of an issuer that publishes its keys. It has no secrets.
    Jwt(jwt::Rules),
}

/// What is wrong with an entry. Nothing of a secret is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Nobody could be told from anybody.
    #[error("at least one secret is required")]
    NoSecret,
    /// A secret that no request could match.
    #[error("secret {number} does not have the form that {provider} requires: {form}")]
    SecretForm {
        /// Its place in the list, from 1.
        number: usize,
        /// The entry's type.
        provider: &'static str,
        /// What it should be.
        form: String,
    },
    /// Not the name of a header.
    #[error("{0:?} is not a header name")]
    HeaderName(String),
    /// What is signed cannot be read.
    #[error("signed: {0}")]
    Template(#[from] TemplateError),
    /// `{timestamp}` is signed, and nothing says where it is.
    #[error("signed has {{timestamp}}, so timestampHeader is needed")]
    TimestampHeaderMissing,
    /// A timestamp that is not signed protects from nothing.
    #[error("timestampHeader is set, so signed must have {{timestamp}}")]
    TimestampNotSigned,
    /// `{id}` is signed, and nothing says where it is.
    #[error("signed has {{id}}, so idHeader is needed")]
    IdHeaderMissing,
    /// An id that is not signed can be changed by anyone.
    #[error("idHeader is set, so signed must have {{id}}")]
    IdNotSigned,
    /// The provider does not ask for a subscription.
    #[error("{0} does not support verifyToken")]
    VerifyTokenUnused(&'static str),
    /// A token for any audience is a token for somebody else.
    #[error("jwt.audiences and jwt.issuer must not be empty")]
    JwtUnbound,
}

/// A scheme, ready to check requests.
#[derive(Debug)]
pub(super) enum Check {
    Signature(SignatureCheck),
    Token(TokenCheck),
    Jwt(jwt::Rules),
}

/// The type of an entry, and the schemes that any of its requests may use.
pub(super) fn schemes<'a>(entry: &Entry<'a>) -> (&'static str, Vec<Scheme<'a>>) {
    match *entry {
        Entry::Provider { provider, legacy, .. } => {
            let more = if legacy { provider.legacy_schemes } else { &[] };
            (provider.name, provider.schemes.iter().chain(more).copied().collect())
        }
        Entry::Hmac(signature) => ("Hmac", vec![Scheme::Signature(signature)]),
        Entry::ApiKey { header } => {
            ("ApiKey", vec![Scheme::Token(Token { header, form: TokenForm::Whole })])
        }
        Entry::Jwt(_) => ("Jwt", Vec::new()),
    }
}

/// Makes schemes ready. Each secret must be of use to one of them, or it is not what was meant.
pub(super) fn checks(
    provider: &'static str,
    schemes: &[Scheme<'_>],
    secrets: &[Secret],
) -> Result<Vec<Check>, EntryError> {
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

fn checks_of(schemes: &[Scheme<'_>], secrets: &[Secret]) -> Result<Vec<Check>, EntryError> {
    let checks = schemes.iter().map(|scheme| match scheme {
        Scheme::Signature(scheme) => {
            Ok(SignatureCheck::new(scheme, secrets)?.map(Check::Signature))
        }
        Scheme::Token(token) => Ok(TokenCheck::new(token, secrets)?.map(Check::Token)),
    });
    checks.filter_map(Result::transpose).collect()
}

/// What a secret may look like.
fn description(schemes: &[Scheme<'_>]) -> String {
    let mut forms: Vec<_> = schemes
        .iter()
        .map(|scheme| match scheme {
            Scheme::Signature(signature) => signature.secret.description(),
            Scheme::Token(Token { form: TokenForm::Basic, .. }) => "user:password",
            Scheme::Token(_) => "any text",
        })
        .collect();
    forms.sort_unstable();
    forms.dedup();
    forms.join(", or ")
}

/// A header's name as users write it.
pub(super) fn header_name(name: &str) -> Result<HeaderName, EntryError> {
    name.parse().map_err(|_| EntryError::HeaderName(name.into()))
}
