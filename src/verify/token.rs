//! A secret in a request, compared in constant time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::json;
use super::position::PositionCheck;
use super::proof::{CannotSign, Proof};
use super::scheme::{Token, TokenForm};
use super::{Denied, EntryError, Input, Secret, header};

/// A [`Token`] with its position resolved and its secrets encoded as they are sent.
#[derive(Debug)]
pub(super) struct TokenCheck {
    at: PositionCheck,
    /// The scheme of an `Authorization` header.
    scheme: Option<&'static str>,
    accepted: Box<[Secret]>,
}

impl TokenCheck {
    /// Compiles a token for the secrets that have its form; `None` if no secret has it.
    ///
    /// # Errors
    /// If the header name or the pointer is invalid.
    pub(super) fn new(token: &Token<'_>, secrets: &[Secret]) -> Result<Option<Self>, EntryError> {
        let scheme = match token.form {
            TokenForm::Whole => None,
            TokenForm::Bearer => Some("Bearer"),
            TokenForm::Basic => Some("Basic"),
        };
        let accepted = secrets.iter().filter_map(|secret| encode(token.form, secret)).collect();
        let check = Self { at: PositionCheck::new(token.at)?, scheme, accepted };
        Ok((!check.accepted.is_empty()).then_some(check))
    }

    pub(super) fn check(&self, input: &Input<'_>) -> Result<(), Denied> {
        let PositionCheck::Header(name) = &self.at else {
            return self.accept(self.at.text(input)?.as_bytes());
        };
        // A secret in a header need not be ASCII.
        let value = header::single(input.headers, name)?;
        match self.scheme {
            None => self.accept(value),
            Some(scheme) => self.accept(header::credentials(value, scheme)?),
        }
    }

    fn accept(&self, presented: &[u8]) -> Result<(), Denied> {
        let is_accepted = self.accepted.iter().any(|secret| secret.matches(presented));
        if is_accepted { Ok(()) } else { Err(Denied::Mismatch) }
    }

    /// The header or the parameter with the first of the secrets.
    ///
    /// # Errors
    /// If a header cannot contain the secret's bytes, or the body has to contain it and does not.
    pub(super) fn sign(&self, input: &Input<'_>) -> Result<Proof, CannotSign> {
        let mut proof = Proof::default();
        let Some(secret) = self.accepted.first() else { return Ok(proof) };
        match &self.at {
            PositionCheck::Header(name) => {
                let scheme = self.scheme.map(|scheme| format!("{scheme} ")).unwrap_or_default();
                let value = Zeroizing::new([scheme.as_bytes(), secret.bytes()].concat());
                proof.add(name, &value)?;
            }
            PositionCheck::Query(name) => {
                let text = str::from_utf8(secret.bytes()).map_err(|_| CannotSign::Parameter)?;
                let mut pairs = form_urlencoded::Serializer::new(String::new());
                proof.query = Some(pairs.append_pair(name, text).finish());
            }
            PositionCheck::Pointer(pointer) => {
                if json::at(input.body, pointer).is_none() {
                    return Err(CannotSign::TokenMissing(pointer.name().into()));
                }
            }
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
