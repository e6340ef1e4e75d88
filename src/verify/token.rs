//! A secret in a header, compared in constant time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;
use zeroize::Zeroizing;

use super::proof::{CannotSign, Proof};
use super::scheme::{Token, TokenForm};
use super::{Denied, EntryError, Input, Secret, entry, header};

/// A [`Token`] with its header name resolved and its secrets encoded as they are sent.
#[derive(Debug)]
pub(super) struct TokenCheck {
    header: HeaderName,
    /// The scheme of an `Authorization` header.
    scheme: Option<&'static str>,
    accepted: Box<[Secret]>,
}

impl TokenCheck {
    /// Compiles a token for the secrets that have its form; `None` if no secret has it.
    ///
    /// # Errors
    /// If the header name is invalid.
    pub(super) fn new(token: &Token<'_>, secrets: &[Secret]) -> Result<Option<Self>, EntryError> {
        let scheme = match token.form {
            TokenForm::Whole => None,
            TokenForm::Bearer => Some("Bearer"),
            TokenForm::Basic => Some("Basic"),
        };
        let accepted = secrets.iter().filter_map(|secret| encode(token.form, secret)).collect();
        let check = Self { header: entry::header_name(token.header)?, scheme, accepted };
        Ok((!check.accepted.is_empty()).then_some(check))
    }

    pub(super) fn check(&self, input: &Input<'_>) -> Result<(), Denied> {
        let value = header::single(input.headers, &self.header)?;
        let presented = match self.scheme {
            None => value,
            Some(scheme) => header::credentials(value, scheme)?,
        };
        let is_accepted = self.accepted.iter().any(|secret| secret.matches(presented));
        if is_accepted { Ok(()) } else { Err(Denied::Mismatch) }
    }

    /// The header with the first of the secrets.
    ///
    /// # Errors
    /// If a header cannot contain the secret's bytes.
    pub(super) fn sign(&self) -> Result<Proof, CannotSign> {
        let mut proof = Proof::default();
        let scheme = self.scheme.map(|scheme| format!("{scheme} ")).unwrap_or_default();
        if let Some(secret) = self.accepted.first() {
            let value = Zeroizing::new([scheme.as_bytes(), secret.bytes()].concat());
            proof.add(&self.header, &value)?;
        }
        Ok(proof)
    }
}

/// Encodes a secret as it is sent. Encoding it once here avoids decoding each request. `None` if
/// the secret does not have the form, which for `Basic` is `user:password` with a non-empty
/// password.
fn encode(form: TokenForm, secret: &Secret) -> Option<Secret> {
    let bytes = secret.bytes();
    let accepted = match form {
        TokenForm::Whole | TokenForm::Bearer => bytes.to_vec(),
        TokenForm::Basic => {
            let colon = bytes.iter().position(|byte| *byte == b':')?;
            (colon + 1 < bytes.len()).then(|| STANDARD.encode(bytes).into_bytes())?
        }
    };
    Secret::new(accepted).ok()
}
